// SPDX-License-Identifier: Apache-2.0
#include "dns/image.h"

#include "dns/message.h"

void dns_image_fix(uint8_t *body, const struct zone_image *image, uint32_t length, uint32_t longer)
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

/* The offset past the record at `at`. */
static uint32_t record_end(const uint8_t *body, uint32_t at)
{
	while (body[at] && body[at] < POINTER >> 8)
		at += body[at] + 1u;
	at += body[at] ? 2 : 1;
	return at + RR_FIXED + load_be16(body + at + 8);
}

uint32_t dns_glue_next(const struct zone_image *image, uint32_t *at, uint32_t room)
{
	const uint8_t *body = (const uint8_t *)(image + 1);
	uint32_t glue_at = HEADER_SIZE + image->base + 4u + image->authority, end;

	for (; *at < image->trimmed; *at = end) {
		uint32_t owner = load_be16(body + *at);

		end = record_end(body, *at);
		/* Its name is in the authority section, unless that is beyond a pointer's reach. */
		if (owner >= POINTER && (owner & POINTER_MAX) < glue_at && end - *at <= room)
			return end;
	}
	return 0;
}

/* Adds the addresses that fit `room` to a referral; returns their number. */
static uint16_t put_glue(struct request *rq, const struct zone_image *image, uint32_t room,
			 uint32_t longer)
{
	const uint8_t *body = (const uint8_t *)(image + 1);
	uint32_t at = image->authority, end;
	uint16_t records = 0;

	for (; (end = dns_glue_next(image, &at, room)); at = end) {
		uint8_t *to = rq->payload + rq->length;
		uint16_t owner = load_be16(body + at);

		memcpy(to, body + at, end - at);
		if (owner != (POINTER | HEADER_SIZE))
			store_be16(to, (uint16_t)(owner + longer));
		rq->length += end - at;
		room -= end - at;
		records++;
	}
	return records;
}

enum verdict dns_reply_shorter(const struct snapshot *snap, struct request *rq,
			       const struct dns_query *q, const struct zone_image *image,
			       uint32_t room)
{
	uint32_t longer = q->name.length - image->base, length = image->trimmed;
	bool whole = length <= room;
	uint16_t glue = image->glue;
	uint8_t *p = rq->payload;

	/* RFC 2181 section 9: an RRset that does not fit is left out entirely. What fits of a
	 * referral is sent, with TC: RFC 9471 section 3.1. */
	if (!whole && (image->authority == length || image->authority > room))
		return dns_question_only(snap, rq, q, image->bits | BITS2_TC, image->rcode, 0,
					 VERDICT_dns_truncated);
	if (!whole)
		length = image->authority;
	memcpy(p + q->end, image + 1, length);
	if (longer)
		dns_image_fix(p + q->end, image, length, longer);
	rq->length = q->end + length;
	if (!whole)
		glue = put_glue(rq, image, room - length, longer);
	memcpy(p + 6, image->counts, sizeof image->counts);
	store_be16(p + 10, glue);
	return dns_finish(snap, rq, q, rq->length, image->bits | (whole ? 0 : BITS2_TC),
			  image->rcode, whole ? dns_verdict(image) : VERDICT_dns_truncated);
}

enum verdict dns_reply_larger(const struct snapshot *snap, struct request *rq,
			      const struct dns_query *q, const struct zone_image *image)
{
	uint8_t *p = rq->payload;
	uint32_t room = dns_size_limit(snap, rq, q) - q->end;

	if (image->length > room)
		return dns_reply_shorter(snap, rq, q, image, room);
	memcpy(p + q->end, image + 1, image->length);
	if (q->name.length != image->base)
		dns_image_fix(p + q->end, image, image->length, q->name.length - image->base);
	memcpy(p + 6, image->counts, sizeof image->counts);
	return dns_finish(snap, rq, q, q->end + image->length, image->bits, image->rcode,
			  dns_verdict(image));
}

enum verdict dns_reply_image(const struct snapshot *snap, struct request *rq,
			     const struct dns_query *q, const struct zone_image *image)
{
	return dns_reply_image_inline(snap, rq, q, image);
}
