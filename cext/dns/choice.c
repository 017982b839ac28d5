// SPDX-License-Identifier: Apache-2.0
#include "dns/choice.h"

#include "base/bytes.h"
#include "dns/image.h"
#include "dns/message.h"
#include "dns/wire.h"
#include "geo/draw.h"
#include "geo/serving.h"
#include "runtime/thread_state.h"

/* RFC 7871 section 6: address families of the IANA. */
#define FAMILY_IPV4 1
#define FAMILY_IPV6 2

/* First octets of which no network of the Internet is, or not all: see is_public_ipv4(). */
static const bool octet_is_special[256] = {
	[0] = true,   [10] = true,  [100] = true, [127] = true,
	[169] = true, [172] = true, [192] = true, [224 ... 255] = true,
};

/* No network of the Internet has these: RFC 6890, RFC 1918, RFC 6598. */
static inline bool is_public_ipv4(const uint8_t *address)
{
	uint32_t a = load_be32(address);

	if (__builtin_expect(!octet_is_special[address[0]], 1))
		return true;
	return a >> 24 && a >> 24 != 10 && a >> 24 != 127 && a >> 28 < 14 && a >> 20 != 0xac1 &&
	       a >> 16 != 0xc0a8 && a >> 16 != 0xa9fe && a >> 22 != 0x191;
}

/* 2000::/3 is all that is assigned: RFC 4291 section 2.4. */
static bool is_public_ipv6(const uint8_t *address)
{
	return address[0] >> 5 == 1;
}

/* Whether a resolver sent the address of a client, and not that it must not be used. */
static bool is_usable(const struct dns_query *q)
{
	if (!q->has_subnet || !q->subnet.source)
		return false;
	return q->subnet.family == FAMILY_IPV4 ? is_public_ipv4(q->subnet.address)
					       : is_public_ipv6(q->subnet.address);
}

/* The version of the client subnet's address. */
static inline uint8_t subnet_version(const struct dns_query *q)
{
	return q->subnet.family == FAMILY_IPV4 ? 4 : 6;
}

bool dns_prefetch_client(const struct geo_view *view, const struct request *rq, struct dns_query *q)
{
	if (q->bucket) {
		geo_prefetch_entries(view, q->bucket, q->client, q->client_version);
		return false;
	}
	q->by_subnet = is_usable(q);
	q->client = q->by_subnet ? q->subnet.address : rq->source;
	q->client_version = q->by_subnet ? subnet_version(q) : rq->ip_version;
	q->bucket = geo_bucket_of(view, q->client, q->client_version);
	__builtin_prefetch(q->bucket);
	return true;
}

static inline __attribute__((always_inline)) struct dns_client
client_of(const struct geo_view *view, const struct request *rq, struct dns_query *q)
{
	struct geo_found found;

	if (q->bucket ? q->by_subnet : is_usable(q)) {
		uint8_t version = subnet_version(q);

		found = geo_view_find(view, q->subnet.address, version);
		/* Of an alias and of what it leads to: the answer is both's. */
		if (found.scope > q->subnet.scope)
			q->subnet.scope = found.scope;
		if (found.class)
			return (struct dns_client){q->subnet.address, version, found};
	}
	found = geo_view_find(view, rq->source, rq->ip_version);
	return (struct dns_client){rq->source, rq->ip_version, found};
}

struct dns_client dns_client_of(const struct geo_view *view, const struct request *rq,
				struct dns_query *q)
{
	return client_of(view, rq, q);
}

static inline bool choose(struct thread_state *state, const struct request *rq, struct dns_query *q,
			  struct zone_lookup *lookup, uint32_t *table)
{
	const struct geo_choice *choice = zone_at(lookup->arena, lookup->choice);
	const struct geo_serving *geo = lookup->geo;
	uint32_t class = 0;
	struct geo_pick pick;

	if (choice->variants > 1 && geo->view)
		class = client_of(geo->view, rq, q).found.class;
	pick = geo_pick(geo->selection, geo_entry_of(geo_zone_of(lookup->arena), choice, class),
			&state->draws);
	if (pick.picked == GEO_PICKED_IMAGE)
		lookup->image = zone_at(lookup->arena, pick.at);
	*table = pick.at;
	return pick.picked == GEO_PICKED_RECORDS;
}

bool dns_choose(struct thread_state *state, const struct request *rq, struct dns_query *q,
		struct zone_lookup *lookup, uint32_t *table)
{
	return choose(state, rq, q, lookup, table);
}

void dns_draw_records(struct thread_state *state, const struct zone_lookup *lookup, uint32_t table,
		      struct dns_draw *draw)
{
	draw->bytes = geo_put_records(lookup->geo->selection, table, &state->draws, draw->owner,
				      draw->to, draw->room, &draw->count);
}

/* The whole answer is drawn: written at once, as the image of it would be copied. */
enum verdict dns_reply_choice(const struct snapshot *snap, struct thread_state *state,
			      struct request *rq, struct dns_query *q, struct zone_lookup *lookup)
{
	uint8_t *p = rq->payload;
	struct dns_draw draw = {.to = p + q->end, .owner = HEADER_SIZE};
	uint32_t table;

	if (!choose(state, rq, q, lookup, &table))
		return VERDICT_PENDING;
	draw.room = dns_size_limit(snap, rq, q) - q->end;
	dns_draw_records(state, lookup, table, &draw);
	if (!draw.bytes)
		return dns_question_only(snap, rq, q, BITS2_QR | BITS2_AA | BITS2_TC, RCODE_NOERROR,
					 0, VERDICT_dns_truncated);
	p[2] = BITS2_QR | BITS2_AA | (p[2] & BITS2_RD);
	p[3] &= BITS3_CD;
	/* One question, the records, none of authority, and the OPT. */
	store_be64(p + 4, 1ull << 48 | (uint64_t)(uint16_t)draw.count << 32 | q->edns);
	rq->length = q->end + draw.bytes;
	if (q->edns)
		rq->length = dns_opt_put(snap, rq, q, rq->length, RCODE_NOERROR, 0);
	return VERDICT_dns_noerror;
}

bool dns_chose_alias(const struct zone_lookup *lookup)
{
	const uint8_t *record = (const uint8_t *)(lookup->image + 1);

	return lookup->image->authority >= 2 + RR_FIXED &&
	       load_be16(record) == (POINTER | HEADER_SIZE) && load_be16(record + 2) == TYPE_CNAME;
}
