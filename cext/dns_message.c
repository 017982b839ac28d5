// SPDX-License-Identifier: Apache-2.0
#include "dns_message.h"

#include "bytes.h"
#include "dns_wire.h"
#include "snapshot.h"

/* The request had one, so there is room. */
uint32_t dns_put_opt(uint8_t *p, uint32_t at, const struct snapshot *snap,
		     const struct dns_query *q, uint8_t rcode_high)
{
	p += at;
	p[0] = 0;
	store_be16(p + 1, TYPE_OPT);
	store_be16(p + 3, snap->dns_max_udp);
	p[5] = rcode_high;
	p[6] = 0;
	store_be16(p + 7, q->edns_flags);
	store_be16(p + 9, 0);
	return at + OPT_SIZE;
}

enum verdict dns_formerr(const struct snapshot *snap, struct request *rq, const struct dns_query *q)
{
	uint8_t *p = rq->payload;

	p[2] = BITS2_QR | (p[2] & BITS2_RD);
	p[3] = (p[3] & BITS3_CD) | RCODE_FORMERR;
	store_be64(p + 4, q->edns); /* no record in any section but, last, the OPT */
	rq->length = HEADER_SIZE;
	if (q->edns)
		rq->length = dns_put_opt(p, HEADER_SIZE, snap, q, 0);
	return VERDICT_dns_formerr;
}

/* No other bit but the opcode comes back: RFC 8906 section 8.1.4 and ISC's genreport. */
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
			       const struct dns_query *q, uint8_t bits2, uint8_t rcode,
			       uint8_t rcode_high, enum verdict verdict)
{
	uint8_t *p = rq->payload;

	p[2] = bits2 | (p[2] & BITS2_RD);
	p[3] = (p[3] & BITS3_CD) | rcode;
	store_be64(p + 4, 0x0001000000000000ULL | q->edns);
	rq->length = q->end;
	if (q->edns)
		rq->length = dns_put_opt(p, q->end, snap, q, rcode_high);
	return verdict;
}
