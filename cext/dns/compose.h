/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies composed in place: the last step that all of them share, and those that no single image
 * holds. These are names below a DNAME, where the target name is synthesized from the question
 * (RFC 6672), and with DO the proofs of nonexistence, which depend on the question too.
 */
#ifndef XDPKIT_DNS_COMPOSE_H
#define XDPKIT_DNS_COMPOSE_H

#include "base/bytes.h"
#include "dns/dns.h"
#include "dns/edns.h"
#include "dns/message.h"
#include "dns/wire.h"

/*
 * The most aliases followed, here (DNAMEs) and by the compiler. A longer chain is a mistake, and
 * resolvers give up earlier (NSD stops at 18).
 */
#define DNS_ALIASES_MAX 16

/*
 * No name is looked up from this offset on. The pointers of an image stay below it too (body.py's
 * POINTER_END), so that after an alias chain they still fit 14 bits.
 */
#define DNS_ALIASES_END 0x2000

/* The verdict of a reply made from this image. */
static inline enum verdict dns_verdict(const struct zone_image *image)
{
	static const uint8_t verdicts[ZONE_KIND_COUNT] = {
		[ZONE_KIND_NOERROR] = VERDICT_dns_noerror,
		[ZONE_KIND_NODATA] = VERDICT_dns_nodata,
		[ZONE_KIND_NXDOMAIN] = VERDICT_dns_nxdomain,
		[ZONE_KIND_REFERRAL] = VERDICT_dns_referral,
		[ZONE_KIND_YXDOMAIN] = VERDICT_dns_yxdomain,
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

/* The reply made from one image, or the part of it that fits. */
enum verdict dns_reply_image(const struct snapshot *snap, struct request *rq,
			     const struct dns_query *q, const struct zone_image *image);

/* The reply for a name below a DNAME, or to a question with DO. */
enum verdict dns_compose(const struct snapshot *snap, struct request *rq, const struct dns_query *q,
			 struct zone_lookup *lookup);

#endif
