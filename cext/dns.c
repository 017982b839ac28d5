/* SPDX-License-Identifier: Apache-2.0 */
#include "dns.h"

#include "bytes.h"
#include "dns_message.h"
#include "dns_wire.h"
#include "zone.h"

/* Copies the body in 16-byte steps where the room allows: most bodies are one or two A records. */
static inline void put_body(struct request *rq, uint32_t at, const struct zone_image *image)
{
	const uint8_t *from = (const uint8_t *)(image + 1);
	uint8_t *to = rq->payload + at;
	uint32_t length = image->length;

	if (rq->room - at < length + 15) {
		memcpy(to, from, length);
		return;
	}
	for (uint32_t i = 0; i < length; i += 16)
		memcpy(to + i, from + i, 16);
}

/* Moves the pointers of an image that was made for a shorter question. */
static void fix_pointers(uint8_t *body, const struct zone_image *image, uint32_t longer)
{
	const uint8_t *fixups = (const uint8_t *)(image + 1) + image->length + image->length % 2;

	for (uint32_t i = 0; i < image->fixups; i++) {
		uint16_t at;

		memcpy(&at, fixups + i * 2, sizeof at);
		store_be16(body + at, (uint16_t)(load_be16(body + at) + longer));
	}
}

static enum verdict reply_image(const struct snapshot *snap, struct request *rq,
				const struct dns_query *q, const struct zone_image *image)
{
	static const uint8_t verdicts[ZONE_KIND_COUNT] = {
		[ZONE_KIND_NOERROR] = VERDICT_dns_noerror,
		[ZONE_KIND_NODATA] = VERDICT_dns_nodata,
		[ZONE_KIND_NXDOMAIN] = VERDICT_dns_nxdomain,
		[ZONE_KIND_REFERRAL] = VERDICT_dns_referral,
	};
	uint32_t limit = DNS_UDP_MIN, total = q->end + image->length;
	uint8_t *p = rq->payload;

	if (q->edns) {
		limit = q->edns_size < snap->dns_max_udp ? q->edns_size : snap->dns_max_udp;
		limit = limit < DNS_UDP_MIN ? DNS_UDP_MIN : limit;
		total += OPT_SIZE;
	}
	if (total > limit || total > rq->room)
		return dns_question_only(snap, rq, q, image->bits | BITS2_TC, image->rcode, 0,
					 VERDICT_dns_truncated);

	put_body(rq, q->end, image);
	if (q->name.length != image->base)
		fix_pointers(p + q->end, image, q->name.length - image->base);
	p[2] = image->bits | (p[2] & BITS2_RD);
	p[3] = (p[3] & BITS3_CD) | image->rcode;
	memcpy(p + 6, image->counts, sizeof image->counts);
	if (q->edns) {
		store_be16(p + 10, load_be16(p + 10) + 1);
		dns_put_opt(p, q->end + image->length, snap, q, 0);
	}
	rq->length = total;
	return verdicts[image->kind];
}

/* -------------------------------------------------------------------------------------------- */

/* RFC 1034 section 4.3.2 with what the compiler settled; NULL if the name is in no zone. */
static const struct zone_image *find_image(const struct zone_arena *arena,
					   const struct dns_query *q)
{
	const struct zone_node *node = zone_find(arena, &q->name);

	if (!node) {
		node = zone_encloser(arena, &q->name);
		if (!node)
			return NULL;
		/* A cut beats a wildcard beside it: what is below belongs to another server. */
		if (node->flags & ZONE_NODE_CUT)
			return zone_at(arena, node->fallback);
		if (!node->wildcard) {
			const struct zone_entry *zone = zone_at(arena, node->zone);

			return zone_at(arena, zone->nxdomain);
		}
		node = zone_at(arena, node->wildcard);
	}
	return zone_image(arena, node, q->type);
}

void dns_prefetch(const struct snapshot *snap, struct dns_query *q)
{
	zone_prefetch_node(snap->zones, &q->name);
}

enum verdict dns_reply(const struct snapshot *snap, struct request *rq, const struct dns_query *q)
{
	const struct zone_image *image = find_image(snap->zones, q);

	if (!image)
		return dns_question_only(snap, rq, q, BITS2_QR, RCODE_REFUSED, 0,
					 VERDICT_dns_refused);
	return reply_image(snap, rq, q, image);
}
