/* SPDX-License-Identifier: Apache-2.0 */
/* Replies made from one image of a zone, and the last step of every reply that has records. */
#ifndef XDPKIT_DNS_IMAGE_H
#define XDPKIT_DNS_IMAGE_H

#include "base/bytes.h"
#include "dns/dns.h"
#include "dns/edns.h"
#include "dns/wire.h"

/* The verdict of a reply made from this image. */
static inline enum verdict dns_verdict(const struct zone_image *image)
{
	static const uint8_t verdicts[ZONE_KIND_COUNT] = {
		[ZONE_KIND_NOERROR] = VERDICT_dns_noerror,
		[ZONE_KIND_NODATA] = VERDICT_dns_nodata,
		[ZONE_KIND_NXDOMAIN] = VERDICT_dns_nxdomain,
		[ZONE_KIND_REFERRAL] = VERDICT_dns_referral,
		[ZONE_KIND_TRUNCATED] = VERDICT_dns_truncated,
	};

	return verdicts[image->kind];
}

/* Completes a reply whose sections and counts are written: the flags, and the OPT at `at`. */
static inline enum verdict dns_finish(const struct snapshot *snap, struct request *rq,
				      const struct dns_query *q, uint32_t at, uint8_t bits,
				      uint8_t rcode, enum verdict verdict)
{
	uint8_t *p = rq->payload;

	p[2] = bits | (p[2] & BITS2_RD);
	p[3] = (p[3] & BITS3_CD) | rcode;
	rq->length = at;
	if (q->edns) {
		store_be16(p + 10, load_be16(p + 10) + 1);
		rq->length = dns_opt_put(snap, rq, q, at, RCODE_NOERROR, 0);
	}
	return verdict;
}

/* Copies the body in 16-byte steps if there is room: most bodies are one or two A records. */
static inline void dns_put_body(struct request *rq, uint32_t at, const struct zone_image *image)
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
void dns_image_fix(uint8_t *body, const struct zone_image *image, uint32_t length, uint32_t longer);

/*
 * The end of the next address in a referral's glue, from `*at` in its body on, that fits `room`
 * bytes and can be sent without those before it; 0: there is none. `*at` becomes where it begins.
 */
uint32_t dns_glue_next(const struct zone_image *image, uint32_t *at, uint32_t room);

/* An image that does not fit: optional records are dropped first, then TC is set. */
enum verdict dns_reply_shorter(const struct snapshot *snap, struct request *rq,
			       const struct dns_query *q, const struct zone_image *image,
			       uint32_t room);

/* The reply made from one image, or the part of it that fits. Inlined where every answer passes. */
static inline enum verdict dns_reply_image_inline(const struct snapshot *snap, struct request *rq,
						  const struct dns_query *q,
						  const struct zone_image *image)
{
	uint8_t *p = rq->payload;
	uint32_t room = dns_size_limit(snap, rq, q) - q->end;

	if (image->length > room)
		return dns_reply_shorter(snap, rq, q, image, room);
	dns_put_body(rq, q->end, image);
	if (q->name.length != image->base)
		dns_image_fix(p + q->end, image, image->length, q->name.length - image->base);
	memcpy(p + 6, image->counts, sizeof image->counts);
	return dns_finish(snap, rq, q, q->end + image->length, image->bits, image->rcode,
			  dns_verdict(image));
}

enum verdict dns_reply_image(const struct snapshot *snap, struct request *rq,
			     const struct dns_query *q, const struct zone_image *image);

#endif
