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

/* What the request's flags give the reply's: RD and CD, in host order. */
#define DNS_FLAGS_KEPT (BITS2_RD | BITS3_CD << 8)

/*
 * Writes flags and counts, with which an image begins, as one word with those of the header. The
 * OPT is counted in the last byte: what fits DNS_UDP_MIN has far fewer than 255 records.
 */
static inline void dns_put_header(uint8_t *p, const struct zone_image *image, bool edns)
{
	uint64_t word = load_u64(image), questions = __builtin_bswap16(1);
	uint16_t flags;

	memcpy(&flags, p + 2, sizeof flags);
	flags = (flags & DNS_FLAGS_KEPT) | (uint16_t)word;
	memcpy(p + 2, &flags, sizeof flags);
	word = (word & ~(uint64_t)UINT16_MAX) | questions;
	word += (uint64_t)edns << 56;
	memcpy(p + 4, &word, sizeof word);
}

/* Bytes that a step of a body's copy takes: most bodies are one or two A records. */
#define DNS_BODY_STEP 16

/* Copies the body in whole steps, for which there is room. */
static inline void dns_put_body(uint8_t *to, const struct zone_image *image, uint32_t length)
{
	const uint8_t *from = (const uint8_t *)(image + 1);

	for (uint32_t i = 0; i < length; i += DNS_BODY_STEP)
		memcpy(to + i, from + i, DNS_BODY_STEP);
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

/* The reply made from an image that may not fit, or the part of it that fits. */
enum verdict dns_reply_larger(const struct snapshot *snap, struct request *rq,
			      const struct dns_query *q, const struct zone_image *image);

/* The reply made from one image, or the part of it that fits. Inlined where every answer passes. */
static inline enum verdict dns_reply_image_inline(const struct snapshot *snap, struct request *rq,
						  const struct dns_query *q,
						  const struct zone_image *image)
{
	uint8_t *body = rq->payload + q->end;
	uint32_t length = image->length, end = q->end + length;

	/* Nearly all replies fit any limit, and any room that dns_read() takes. */
	if (__builtin_expect(end + q->opt_bytes > DNS_UDP_MIN - DNS_BODY_STEP, 0))
		return dns_reply_larger(snap, rq, q, image);
	dns_put_body(body, image, length);
	if (q->name.length != image->base)
		dns_image_fix(body, image, length, q->name.length - image->base);
	dns_put_header(rq->payload, image, q->edns);
	rq->length = end;
	if (q->opt_bytes == OPT_SIZE) {
		dns_opt_put_fixed(snap, rq, q, body + length, RCODE_NOERROR);
		rq->length = end + OPT_SIZE;
	} else if (q->edns) {
		rq->length = dns_opt_put(snap, rq, q, end, RCODE_NOERROR, 0);
	}
	return dns_verdict(image);
}

enum verdict dns_reply_image(const struct snapshot *snap, struct request *rq,
			     const struct dns_query *q, const struct zone_image *image);

#endif
