/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/dns.h"

#include "base/bytes.h"
#include "dns/compose.h"
#include "dns/message.h"
#include "dns/wire.h"
#include "zone/zone.h"

/* Copies the body in 16-byte steps if there is room: most bodies are one or two A records. */
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

/* Adjusts the pointers in the first `length` bytes of an image made for a shorter question. */
static void fix_pointers(uint8_t *body, const struct zone_image *image, uint32_t length,
			 uint32_t longer)
{
	const uint8_t *fixups = (const uint8_t *)(image + 1) + image->length + image->length % 2;

	for (uint32_t i = 0; i < image->fixups; i++) {
		uint16_t at;

		memcpy(&at, fixups + i * 2, sizeof at);
		if (at >= length)
			return;
		store_be16(body + at, (uint16_t)(load_be16(body + at) + longer));
	}
}

/* An image that does not fit: optional records are dropped first, then TC is set. */
static enum verdict reply_shorter(const struct snapshot *snap, struct request *rq,
				  const struct dns_query *q, const struct zone_image *image,
				  uint32_t room)
{
	uint8_t *p = rq->payload;
	bool whole = image->trimmed <= room;
	uint32_t length = whole ? image->trimmed : image->authority;

	/* RFC 2181 section 9: an RRset that does not fit is left out entirely. NS records without
	 * their glue are still worth sending, though. */
	if (length > room || (!whole && image->authority == image->trimmed))
		return dns_question_only(snap, rq, q, image->bits | BITS2_TC, image->rcode, 0,
					 VERDICT_dns_truncated);
	memcpy(p + q->end, image + 1, length);
	if (q->name.length != image->base)
		fix_pointers(p + q->end, image, length, q->name.length - image->base);
	memcpy(p + 6, image->counts, sizeof image->counts);
	store_be16(p + 10, whole ? image->glue : 0);
	return dns_finish(snap, rq, q, q->end + length, image->bits | (whole ? 0 : BITS2_TC),
			  image->rcode, whole ? dns_verdict(image) : VERDICT_dns_truncated);
}

static inline enum verdict reply_image(const struct snapshot *snap, struct request *rq,
				       const struct dns_query *q, const struct zone_image *image)
{
	uint8_t *p = rq->payload;
	uint32_t room = dns_size_limit(snap, rq, q) - q->end;

	if (image->length > room)
		return reply_shorter(snap, rq, q, image, room);
	put_body(rq, q->end, image);
	if (q->name.length != image->base)
		fix_pointers(p + q->end, image, image->length, q->name.length - image->base);
	memcpy(p + 6, image->counts, sizeof image->counts);
	return dns_finish(snap, rq, q, q->end + image->length, image->bits, image->rcode,
			  dns_verdict(image));
}

enum verdict dns_reply_image(const struct snapshot *snap, struct request *rq,
			     const struct dns_query *q, const struct zone_image *image)
{
	return reply_image(snap, rq, q, image);
}

/* -------------------------------------------------------------------------------------------- */

void dns_prefetch(const struct snapshot *snap, struct dns_query *q)
{
	zone_prefetch_node(snap->zones, &q->name);
}

/* The name does not exist, or the question has DO. */
static enum verdict reply_at(const struct snapshot *snap, struct request *rq,
			     const struct dns_query *q, const struct zone_node *node)
{
	struct zone_lookup lookup;

	if (!zone_lookup(snap->zones, node, &q->name, q->type, &lookup))
		return dns_question_only(snap, rq, q, BITS2_QR, RCODE_REFUSED,
					 EDE_NOT_AUTHORITATIVE, VERDICT_dns_refused);
	if (q->edns_flags || (lookup.encloser && lookup.encloser->flags & ZONE_NODE_DNAME))
		return dns_compose(snap, rq, q, &lookup);
	return dns_reply_image(snap, rq, q, lookup.image);
}

enum verdict dns_reply(const struct snapshot *snap, struct request *rq, const struct dns_query *q)
{
	const struct zone_node *node = zone_find(snap->zones, &q->name);

	if (!node || q->edns_flags)
		return reply_at(snap, rq, q, node);
	return reply_image(snap, rq, q, zone_image(snap->zones, node, q->type));
}
