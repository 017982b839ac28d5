// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "dns/edns.h"
#include "dns/message.h"
#include "dns/wire.h"
#include "runtime/snapshot.h"

/* A pointer to the question's name, then TYPE, CLASS, TTL and RDLENGTH. */
#define TEXT_FIXED (2 + RR_FIXED)

/* Offset 12: RFC 1035 section 4.1.4. */
#define NAME_POINTER 0xc00c

/* The names that BIND introduced, and those of RFC 4892, in lower-case wire format. */
static const struct {
	char name[16];
	uint8_t length;
	uint8_t text; /* enum dns_text */
} names[] = {
	{"\7version\4bind", 14, DNS_TEXT_VERSION},
	{"\7version\6server", 16, DNS_TEXT_VERSION},
	{"\10hostname\4bind", 15, DNS_TEXT_HOSTNAME},
	{"\2id\6server", 11, DNS_TEXT_ID},
};

/* As in dns/edns.c: the size limit need not be checked. */
_Static_assert(HEADER_SIZE + 16 + 4 + TEXT_FIXED + 1 + DNS_TEXT_MAX + OPT_SIZE + OPTION_HEADER +
			       DNS_COOKIE_BYTES + OPTION_HEADER + DNS_NSID_MAX <=
		       DNS_UDP_MIN,
	       "a text and every option");

/* The text that the name requests, or DNS_TEXT_COUNT. */
static enum dns_text find_text(const struct zone_name *name)
{
	for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (name->length == names[i].length &&
		    !memcmp(name->word, names[i].name, names[i].length))
			return names[i].text;
	return DNS_TEXT_COUNT;
}

enum verdict dns_chaos(const struct snapshot *snap, struct request *rq, const struct dns_query *q)
{
	enum dns_text which = find_text(&q->name);
	uint8_t *p = rq->payload, *record = p + q->end;
	uint32_t length;

	if (which == DNS_TEXT_COUNT || !snap->dns.text_length[which] ||
	    (q->type != TYPE_TXT && q->type != TYPE_ANY))
		return dns_question_only(snap, rq, q, BITS2_QR, RCODE_REFUSED, EDE_NOT_SUPPORTED,
					 VERDICT_dns_refused);
	length = snap->dns.text_length[which];
	p[2] = BITS2_QR | BITS2_AA | (p[2] & BITS2_RD);
	p[3] = p[3] & BITS3_CD;
	store_be64(p + 4, 0x0001000100000000ULL | q->edns);
	store_be16(record, NAME_POINTER);
	store_be16(record + 2, TYPE_TXT);
	store_be16(record + 4, CLASS_CH);
	store_be32(record + 6, 0); /* not to be cached */
	store_be16(record + 10, (uint16_t)(length + 1));
	record[TEXT_FIXED] = (uint8_t)length;
	memcpy(record + TEXT_FIXED + 1, snap->dns.text[which], length);
	rq->length = q->end + TEXT_FIXED + 1 + length;
	if (q->edns)
		rq->length = dns_opt_put(snap, rq, q, rq->length, RCODE_NOERROR, 0);
	return VERDICT_dns_chaos;
}
