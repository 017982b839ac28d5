/* SPDX-License-Identifier: Apache-2.0 */
#include "dns.h"

#include "bytes.h"
#include "zone.h"

#define HEADER_SIZE 12 /* RFC 1035 section 4.1.1 */
#define OPT_SIZE    11 /* without options, RFC 6891 section 6.1.2 */
#define RR_FIXED    10 /* type, class, TTL, RDLENGTH: RFC 1035 section 4.1.3 */

/* Bytes 2 and 3 of the header, RFC 1035 section 4.1.1 and RFC 4035 section 3.1.6 (CD). */
#define BITS2_QR     0x80
#define BITS2_OPCODE 0x78
#define BITS2_TC     0x02
#define BITS2_RD     0x01
#define BITS3_CD     0x10

/* RFC 1035 section 4.1.1; BADVERS is 16: 0 in the header and 1 in the OPT, RFC 6891 section 9. */
#define RCODE_NOERROR      0
#define RCODE_FORMERR      1
#define RCODE_NOTIMP       4
#define RCODE_REFUSED      5
#define RCODE_BADVERS_HIGH 1

#define CLASS_IN 1
#define TYPE_OPT 41
#define TYPE_ANY 255
/* Types 128 to 255 are questions about the server or meta records, RFC 6895 section 3.1. */
#define TYPE_META_FIRST 128
#define TYPE_META_LAST  255

#define EDNS_DO 0x8000 /* RFC 3225 section 3, RFC 6891 section 6.1.4 */

/*
 * The question: one uncompressed name, type and class. A pointer has nothing to point at yet
 * (RFC 1035 section 4.1.4 allows prior names only); 0x40 and 0x80 are no labels, RFC 6891
 * section 5.
 */
static int read_question(const uint8_t *p, uint32_t length, const struct zone_arena *arena,
			 struct dns_query *q)
{
	uint32_t end = length < HEADER_SIZE + ZONE_NAME_MAX ? length : HEADER_SIZE + ZONE_NAME_MAX;
	uint32_t at = HEADER_SIZE, labels = 0, label;

	for (;; labels++) {
		if (at >= end)
			return -1;
		label = p[at];
		at += label + 1;
		if (!label)
			break;
		if (label > 63)
			return -1;
	}
	if (length - at < 4)
		return -1;
	q->type = load_be16(p + at);
	q->class = load_be16(p + at + 2);
	q->end = at + 4;
	zone_name_set(&q->name, arena, p + HEADER_SIZE, at - HEADER_SIZE, labels);
	return 0;
}

/* The options of an OPT of version 0 fill its RDATA exactly, RFC 6891 section 6.1.2. */
static bool options_sound(const uint8_t *rdata, uint32_t length)
{
	while (length) {
		uint32_t size;

		if (length < 4)
			return false;
		size = 4u + load_be16(rdata + 2);
		if (size > length)
			return false;
		rdata += size;
		length -= size;
	}
	return true;
}

/* The offset behind the owner name at `at`, or 0: cut short, or a label type nobody knows. */
static uint32_t skip_owner(const uint8_t *p, uint32_t length, uint32_t at)
{
	while (at < length) {
		uint32_t label = p[at];

		if (label >= 0xc0)
			return at + 2;
		if (label > 63)
			return 0;
		at += label + 1;
		if (!label)
			return at;
	}
	return 0;
}

/* Takes an OPT over: `fixed` is at its type, `rdata` behind its RDLENGTH. */
static int read_opt(const uint8_t *fixed, uint32_t rdlength, bool root_owner, struct dns_query *q)
{
	uint8_t version = fixed[5];

	/* One OPT only, and the root owns it: RFC 6891 sections 6.1.1 and 6.1.2. */
	if (!root_owner || q->edns)
		return -1;
	/* What another version has for RDATA is not ours to judge: BADVERS comes first. */
	if (!version && !options_sound(fixed + RR_FIXED, rdlength))
		return -1;
	q->edns = true;
	q->edns_size = load_be16(fixed + 2);
	q->edns_version = version;
	q->edns_flags = load_be16(fixed + 6) & EDNS_DO;
	return 0;
}

/* The additional section, to the last byte of the message. Each record is 11 bytes or more. */
static int read_additional(const uint8_t *p, uint32_t length, struct dns_query *q)
{
	uint32_t count = load_be16(p + 10), at = q->end;

	while (count--) {
		uint32_t fixed = skip_owner(p, length, at), rdlength;

		if (!fixed || fixed > length || length - fixed < RR_FIXED)
			return -1;
		rdlength = load_be16(p + fixed + 8);
		if (length - fixed - RR_FIXED < rdlength)
			return -1;
		if (load_be16(p + fixed) == TYPE_OPT &&
		    read_opt(p + fixed, rdlength, fixed == at + 1, q))
			return -1;
		at = fixed + RR_FIXED + rdlength;
	}
	return at == length ? 0 : -1;
}

/* -------------------------------------------------------------------------------------------- */

/* An OPT as ours always is: version 0, no options. The request had one, so there is room. */
static uint32_t put_opt(uint8_t *p, uint32_t at, const struct snapshot *snap,
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

/* A reply that is a header only, and the OPT if a sound one was read. */
static enum verdict reply_formerr(const struct snapshot *snap, struct request *rq,
				  const struct dns_query *q)
{
	uint8_t *p = rq->payload;

	p[2] = BITS2_QR | (p[2] & BITS2_RD);
	p[3] = (p[3] & BITS3_CD) | RCODE_FORMERR;
	store_be64(p + 4, q->edns); /* no record in any section but, last, the OPT */
	rq->length = HEADER_SIZE;
	if (q->edns)
		rq->length = put_opt(p, HEADER_SIZE, snap, q, 0);
	return VERDICT_dns_formerr;
}

/* No other bit but the opcode comes back: RFC 8906 section 8.1.4 and ISC's genreport. */
static enum verdict reply_notimp(struct request *rq)
{
	uint8_t *p = rq->payload;

	p[2] = BITS2_QR | (p[2] & BITS2_OPCODE);
	p[3] = RCODE_NOTIMP;
	store_be64(p + 4, 0);
	rq->length = HEADER_SIZE;
	return VERDICT_dns_notimp;
}

/* A reply that is the question and, if the request had one, an OPT. */
static enum verdict reply_question(const struct snapshot *snap, struct request *rq,
				   const struct dns_query *q, uint8_t bits2, uint8_t rcode,
				   uint8_t rcode_high, enum verdict verdict)
{
	uint8_t *p = rq->payload;

	p[2] = bits2 | (p[2] & BITS2_RD);
	p[3] = (p[3] & BITS3_CD) | rcode;
	store_be64(p + 4, 0x0001000000000000ULL | q->edns);
	rq->length = q->end;
	if (q->edns)
		rq->length = put_opt(p, q->end, snap, q, rcode_high);
	return verdict;
}

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
		return reply_question(snap, rq, q, image->bits | BITS2_TC, image->rcode, 0,
				      VERDICT_dns_truncated);

	put_body(rq, q->end, image);
	if (q->name.length != image->base)
		fix_pointers(p + q->end, image, q->name.length - image->base);
	p[2] = image->bits | (p[2] & BITS2_RD);
	p[3] = (p[3] & BITS3_CD) | image->rcode;
	memcpy(p + 6, image->counts, sizeof image->counts);
	if (q->edns) {
		store_be16(p + 10, load_be16(p + 10) + 1);
		put_opt(p, q->end + image->length, snap, q, 0);
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

/* Questions we never answer over UDP: transfers, TKEY and the like; OPT is no question at all. */
static bool type_refused(uint16_t type)
{
	return (type >= TYPE_META_FIRST && type <= TYPE_META_LAST && type != TYPE_ANY) ||
	       type == TYPE_OPT;
}

enum verdict dns_read(const struct snapshot *snap, struct request *rq, struct dns_query *q)
{
	const uint8_t *p = rq->payload;

	if (rq->length < HEADER_SIZE)
		return VERDICT_dns_short;
	if (p[2] & BITS2_QR)
		return VERDICT_dns_response;
	if (p[2] & BITS2_OPCODE)
		return reply_notimp(rq);

	q->edns = false;
	q->edns_flags = 0;
	/* One question, no answer, no authority: RFC 9619, and nothing else makes sense in a QUERY.
	 */
	if ((load_be64(p + 4) >> 16) != 0x000100000000ULL ||
	    read_question(p, rq->length, snap->zones, q) || read_additional(p, rq->length, q))
		return reply_formerr(snap, rq, q);
	if (q->edns && q->edns_version)
		return reply_question(snap, rq, q, BITS2_QR, RCODE_NOERROR, RCODE_BADVERS_HIGH,
				      VERDICT_dns_badvers);
	if (q->class != CLASS_IN || type_refused(q->type))
		return reply_question(snap, rq, q, BITS2_QR, RCODE_REFUSED, 0, VERDICT_dns_refused);
	zone_prefetch_bucket(snap->zones, &q->name);
	return VERDICT_redirected;
}

void dns_prefetch(const struct snapshot *snap, struct dns_query *q)
{
	zone_prefetch_node(snap->zones, &q->name);
}

enum verdict dns_reply(const struct snapshot *snap, struct request *rq, const struct dns_query *q)
{
	const struct zone_image *image = find_image(snap->zones, q);

	if (!image)
		return reply_question(snap, rq, q, BITS2_QR, RCODE_REFUSED, 0, VERDICT_dns_refused);
	return reply_image(snap, rq, q, image);
}
