// SPDX-License-Identifier: Apache-2.0
#include "dns/explain.h"

#include <arpa/inet.h>

#include "base/bytes.h"
#include "dns/choice.h"
#include "dns/edns.h"
#include "dns/image.h"
#include "dns/message.h"
#include "dns/wire.h"
#include "geo/serving.h"
#include "runtime/snapshot.h"
#include "runtime/thread_state.h"

/* A pointer to the question's name, then TYPE, CLASS, TTL and RDLENGTH. */
#define TEXT_FIXED (2 + RR_FIXED)

/* Seconds: each answer is about one moment. */
#define TEXT_TTL 1

/* [ADDRESS]:PORT, and the digits of a number of 64 bits. */
#define ENDPOINT_MAX (INET6_ADDRSTRLEN + 8)
#define DIGITS_MAX   20

/* Strings of _country, each with its length: two of an address, of which one has a port; targets
 * and coordinates; /128; what the settings have. */
#define COUNTRY_MAX                                                                   \
	(2 * (1 + ENDPOINT_MAX) + 2 * (1 + DNS_TEXT_MAX) + 5 + 1 + DNS_TEXT_MAX + 1 + \
	 DNS_ADDRESS_MAX)

_Static_assert(DNS_STATUS_MAX + DIGITS_MAX + 2 <= DNS_TEXT_MAX, "_status is one string");

enum explained { EXPLAINED_NOTHING, EXPLAINED_COUNTRY, EXPLAINED_STATUS, EXPLAINED_HEALTH };

/* RDATA of a TXT record: the length of its last string is at `string`. */
struct texts {
	uint8_t *to;
	uint32_t at, string;
};

static enum explained explained_by(const struct zone_name *name)
{
	const uint8_t *label = (const uint8_t *)name->word;

	if (label[0] == 8 && !memcmp(label + 1, "_country", 8))
		return EXPLAINED_COUNTRY;
	if (label[0] != 7)
		return EXPLAINED_NOTHING;
	if (!memcmp(label + 1, "_status", 7))
		return EXPLAINED_STATUS;
	return memcmp(label + 1, "_health", 7) ? EXPLAINED_NOTHING : EXPLAINED_HEALTH;
}

/*
 * Whether the client is on this host: it has a loopback address, or one of ours. What claims to be
 * ours and comes from elsewhere is dropped, or is answered to ourselves.
 */
static bool is_local(const struct snapshot *snap, const struct request *rq)
{
	return (rq->ip_version == 4 && rq->source[0] == 127) ||
	       snapshot_is_reserved(snap, rq->source, rq->ip_version);
}

/* -------------------------------------------------------------------------------------------- */

static void begin_string(struct texts *texts)
{
	texts->string = texts->at++;
}

static void put(struct texts *texts, const void *from, uint32_t length)
{
	memcpy(texts->to + texts->at, from, length);
	texts->at += length;
}

static void put_number(struct texts *texts, uint64_t number)
{
	uint8_t digits[DIGITS_MAX], *first = digits + sizeof digits;

	do {
		*--first = (uint8_t)('0' + number % 10);
		number /= 10;
	} while (number);
	put(texts, first, (uint32_t)(digits + sizeof digits - first));
}

static void end_string(struct texts *texts)
{
	texts->to[texts->string] = (uint8_t)(texts->at - texts->string - 1);
}

static void put_address(struct texts *texts, const uint8_t *address, uint8_t ip_version)
{
	char text[INET6_ADDRSTRLEN];

	/* Of an address in memory it makes a text in memory: it cannot fail. */
	inet_ntop(ip_version == 4 ? AF_INET : AF_INET6, address, text, sizeof text);
	put(texts, text, (uint32_t)strlen(text));
}

static void put_endpoint(struct texts *texts, const struct request *rq)
{
	begin_string(texts);
	if (rq->ip_version == 6)
		put(texts, "[", 1);
	put_address(texts, rq->source, rq->ip_version);
	put(texts, rq->ip_version == 6 ? "]:" : ":", rq->ip_version == 6 ? 2 : 1);
	put_number(texts, rq->source_port);
	end_string(texts);
}

static void put_string(struct texts *texts, const uint8_t *text, uint32_t length)
{
	begin_string(texts);
	put(texts, text, length);
	end_string(texts);
}

/* -------------------------------------------------------------------------------------------- */

/* A reply with one TXT record; one that does not fit is TC, with nothing. */
static enum verdict reply_texts(const struct snapshot *snap, struct request *rq,
				const struct dns_query *q, const uint8_t *rdata, uint32_t length)
{
	uint8_t *p = rq->payload, *record = p + q->end;

	if (q->end + TEXT_FIXED + length > dns_size_limit(snap, rq, q))
		return dns_question_only(snap, rq, q, BITS2_QR | BITS2_AA | BITS2_TC, RCODE_NOERROR,
					 0, VERDICT_dns_truncated);
	store_be16(record, POINTER | HEADER_SIZE);
	store_be16(record + 2, TYPE_TXT);
	store_be16(record + 4, CLASS_IN);
	store_be32(record + 6, TEXT_TTL);
	store_be16(record + 10, (uint16_t)length);
	memcpy(record + TEXT_FIXED, rdata, length);
	store_be16(p + 6, 1);
	store_be32(p + 8, 0);
	return dns_finish(snap, rq, q, q->end + TEXT_FIXED + length, BITS2_QR | BITS2_AA,
			  RCODE_NOERROR, VERDICT_dns_noerror);
}

/* As GeoDNS: the client, the address that counts, its targets, /scope, the server's id and address,
 * and where the client is, if that is known. */
static enum verdict reply_country(const struct snapshot *snap, struct request *rq,
				  struct dns_query *q, const struct geo_view *view)
{
	static const uint8_t anywhere[] = {1, '@', 0};
	const uint8_t *targets = NULL, *place;
	uint8_t rdata[COUNTRY_MAX];
	struct texts texts = {.to = rdata};
	struct dns_client client = {rq->source, rq->ip_version, {0}};

	if (view) {
		client = dns_client_of(view, rq, q);
		targets = geo_view_text(view, client.found.class);
	}
	if (!targets)
		targets = anywhere;
	place = targets + 1 + targets[0];
	put_endpoint(&texts, rq);
	begin_string(&texts);
	put_address(&texts, client.address, client.ip_version);
	end_string(&texts);
	put_string(&texts, targets + 1, targets[0]);
	begin_string(&texts);
	put(&texts, "/", 1);
	put_number(&texts, client.found.scope);
	end_string(&texts);
	put_string(&texts, snap->dns.server_id, snap->dns.server_id_length);
	put_string(&texts, snap->dns.server_address, snap->dns.server_address_length);
	if (place[0])
		put_string(&texts, place + 1, place[0]);
	return reply_texts(snap, rq, q, rdata, texts.at);
}

static enum verdict reply_status(const struct snapshot *snap, const struct thread_state *state,
				 struct request *rq, const struct dns_query *q)
{
	const struct dns_settings *dns = &snap->dns;
	uint8_t rdata[1 + DNS_TEXT_MAX];
	struct texts texts = {.to = rdata};
	uint64_t up = state->mono_ns > dns->started_ns ? state->mono_ns - dns->started_ns : 0;

	begin_string(&texts);
	put(&texts, dns->status, dns->status_length);
	put_number(&texts, up / 1000000000);
	put(&texts, "\"}", 2);
	end_string(&texts);
	return reply_texts(snap, rq, q, rdata, texts.at);
}

enum verdict dns_explain(const struct snapshot *snap, const struct thread_state *state,
			 struct request *rq, struct dns_query *q, const struct zone_lookup *lookup)
{
	enum explained what = explained_by(&q->name);

	if (what == EXPLAINED_NOTHING)
		return VERDICT_PENDING;
	if (what != EXPLAINED_COUNTRY && !snap->dns.public_debug && !is_local(snap, rq))
		return dns_question_only(snap, rq, q, BITS2_QR, RCODE_REFUSED, EDE_PROHIBITED,
					 VERDICT_dns_refused);
	if (q->type != TYPE_TXT && q->type != TYPE_ANY)
		return dns_reply_image(snap, rq, q, zone_at(lookup->arena, lookup->arena->nodata));
	if (what == EXPLAINED_COUNTRY)
		return reply_country(snap, rq, q, lookup->geo->view);
	if (what == EXPLAINED_STATUS)
		return reply_status(snap, state, rq, q);
	return reply_texts(snap, rq, q, lookup->geo->health, lookup->geo->health_bytes);
}
