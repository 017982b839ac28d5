// SPDX-License-Identifier: Apache-2.0
#include "dns/message.h"

#include "base/bytes.h"
#include "dns/edns.h"
#include "dns/wire.h"
#include "runtime/snapshot.h"

enum verdict dns_formerr(const struct snapshot *snap, struct request *rq, const struct dns_query *q)
{
	uint8_t *p = rq->payload;

	p[2] = BITS2_QR | (p[2] & BITS2_RD);
	p[3] = (p[3] & BITS3_CD) | RCODE_FORMERR;
	store_be64(p + 4, q->edns); /* no records in any section, except for the OPT */
	rq->length = HEADER_SIZE;
	if (q->edns)
		rq->length = dns_opt_put(snap, rq, q, HEADER_SIZE, RCODE_FORMERR, 0);
	return VERDICT_dns_formerr;
}

/* Nothing but the opcode is copied: RFC 8906 section 8.1.4 and ISC's genreport. */
enum verdict dns_notimp(struct request *rq)
{
	uint8_t *p = rq->payload;

	p[2] = BITS2_QR | (p[2] & BITS2_OPCODE);
	p[3] = RCODE_NOTIMP;
	store_be64(p + 4, 0);
	rq->length = HEADER_SIZE;
	return VERDICT_dns_notimp;
}

enum verdict dns_question_only(const struct snapshot *snap, struct request *rq,
			       const struct dns_query *q, uint8_t bits2, uint16_t rcode,
			       uint16_t ede, enum verdict verdict)
{
	uint64_t questions = q->end != HEADER_SIZE;
	uint8_t *p = rq->payload;

	p[2] = bits2 | (p[2] & BITS2_RD);
	p[3] = (p[3] & BITS3_CD) | (rcode & RCODE_MASK);
	store_be64(p + 4, questions << 48 | q->edns);
	rq->length = q->end;
	if (q->edns)
		rq->length = dns_opt_put(snap, rq, q, q->end, rcode, ede);
	return verdict;
}

enum verdict dns_badcookie(const struct snapshot *snap, struct request *rq,
			   const struct dns_query *q)
{
	return dns_question_only(snap, rq, q, BITS2_QR, RCODE_BADCOOKIE, 0, VERDICT_dns_badcookie);
}
