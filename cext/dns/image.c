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

enum verdict dns_reply_shorter(const struct snapshot *snap, struct request *rq,
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
		dns_image_fix(p + q->end, image, length, q->name.length - image->base);
	memcpy(p + 6, image->counts, sizeof image->counts);
	store_be16(p + 10, whole ? image->glue : 0);
	return dns_finish(snap, rq, q, q->end + length, image->bits | (whole ? 0 : BITS2_TC),
			  image->rcode, whole ? dns_verdict(image) : VERDICT_dns_truncated);
}

enum verdict dns_reply_image(const struct snapshot *snap, struct request *rq,
			     const struct dns_query *q, const struct zone_image *image)
{
	return dns_reply_image_inline(snap, rq, q, image);
}
