// SPDX-License-Identifier: Apache-2.0
/* Decides which DNS messages are looked up, and replies to the others. */
#include "base/bytes.h"
#include "dns/dns.h"
#include "dns/edns.h"
#include "dns/message.h"
#include "dns/traffic.h"
#include "dns/tsig.h"
#include "dns/wire.h"
#include "runtime/snapshot.h"
#include "runtime/thread_state.h"

/*
 * The question: one uncompressed name, type and class. A pointer has nothing to point to yet
 * (RFC 1035 section 4.1.4 allows only prior names); 0x40 and 0x80 are not label types, RFC 6891
 * section 5.
 */
static int read_question(const uint8_t *p, uint32_t length, struct dns_query *q)
{
	size_t byte = HEADER_SIZE;
	uint32_t labels = 0, seen = 0, label, at;

	/* May read past the request, of which no name is taken: dns_read() made sure of DNS_UDP_MIN
	 * bytes. */
	for (; (label = p[byte]); labels++) {
		seen |= label;
		byte += label + 1;
		if (byte >= HEADER_SIZE + ZONE_NAME_MAX)
			return -1;
	}
	at = (uint32_t)byte + 1;
	/* All lengths of labels at once: above 63, one has a bit that no valid one has. */
	if (seen > 63 || at + 4 > length)
		return -1;
	q->type = load_be16(p + at);
	q->class = load_be16(p + at + 2);
	q->end = at + 4;
	zone_name_set(&q->name, p + HEADER_SIZE, at - HEADER_SIZE, labels);
	return 0;
}

/* The offset past the owner name at `at`, or 0: truncated, or an unknown label type. */
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

/* Reads an OPT: `at` is the offset of its TYPE, `rdlength` bytes of RDATA follow RDLENGTH. */
static int read_opt(const uint8_t *p, uint32_t at, uint32_t rdlength, bool root_owner,
		    struct dns_query *q)
{
	const uint8_t *fixed = p + at;

	/* Only one OPT, owned by the root: RFC 6891 sections 6.1.1 and 6.1.2. */
	if (!root_owner || q->edns)
		return -1;
	q->edns_version = fixed[5];
	/* The RDATA of another version is not ours to validate: BADVERS comes first. */
	if (rdlength && !q->edns_version) {
		if (!dns_options_fit(fixed + RR_FIXED, rdlength))
			return -1;
		q->options = (uint16_t)(at + RR_FIXED);
		q->options_length = (uint16_t)rdlength;
	}
	q->edns = true;
	q->opt_bytes = OPT_SIZE;
	q->edns_size = load_be16(fixed + 2);
	q->edns_flags = load_be16(fixed + 6) & EDNS_DO;
	return 0;
}

/* Only one TSIG, and the last record: RFC 8945 section 5.1. */
static int read_tsig(const uint8_t *p, uint32_t owner, uint32_t fixed, bool last,
		     struct dns_query *q)
{
	if (!last || !dns_tsig_sound(p, owner, fixed))
		return -1;
	q->tsig = (uint16_t)owner;
	q->tsig_fixed = (uint16_t)fixed;
	return 0;
}

/* The only record of nearly all requests: an OPT of the root that takes all `left` bytes. */
static bool is_opt_to_the_end(const uint8_t *record, uint32_t left)
{
	/* The owner, which has a byte, and TYPE. */
	return left >= OPT_SIZE && load_be32(record) >> 8 == TYPE_OPT &&
	       load_be16(record + 1 + 8) == left - OPT_SIZE;
}

/*
 * The records after the question, `authority` ones first, to the last byte of the message. Each is
 * at least 11 bytes.
 */
static int read_records(const uint8_t *p, uint32_t length, uint32_t authority, struct dns_query *q)
{
	uint32_t count = authority + load_be16(p + 10), at = q->end;

	if (count == 1 && !authority && is_opt_to_the_end(p + at, length - at))
		return read_opt(p, at + 1, length - at - OPT_SIZE, true, q);
	for (uint32_t n = 0; n < count; n++) {
		uint32_t fixed = skip_owner(p, length, at), rdlength, type;

		if (!fixed || fixed > length || length - fixed < RR_FIXED)
			return -1;
		rdlength = load_be16(p + fixed + 8);
		if (length - fixed - RR_FIXED < rdlength)
			return -1;
		type = load_be16(p + fixed);
		if (n < authority && type != TYPE_SOA)
			return -1;
		if (type == TYPE_OPT && read_opt(p, fixed, rdlength, fixed == at + 1, q))
			return -1;
		if (type == TYPE_TSIG && read_tsig(p, at, fixed, n + 1 == count, q))
			return -1;
		at = fixed + RR_FIXED + rdlength;
	}
	return at == length ? 0 : -1;
}

/*
 * One question (RFC 9619), or none: RFC 7873 section 5.4. No answer or authority records: they make
 * no sense in a QUERY, but for the SOA that a client has when it asks what changed since (RFC 1995
 * section 3).
 */
static int read_sections(const uint8_t *p, uint32_t length, struct dns_query *q)
{
	uint64_t counts = load_be64(p + 4) >> 16;
	uint32_t authority = 0;

	if ((counts & ~1ULL) == 0x000100000000ULL) {
		authority = counts & 1;
		if (read_question(p, length, q) || (authority && q->type != TYPE_IXFR))
			return -1;
	} else {
		if (counts)
			return -1;
		q->end = HEADER_SIZE;
		q->class = CLASS_RESERVED;
		q->type = 0;
	}
	return read_records(p, length, authority, q);
}

/* -------------------------------------------------------------------------------------------- */

/* A request without a question is for a cookie, RFC 7873 section 5.4, or malformed. */
static enum verdict no_question(const struct snapshot *snap, struct request *rq,
				const struct dns_query *q)
{
	if (!q->has_cookie)
		return dns_formerr(snap, rq, q);
	if (q->cookie_bad)
		return dns_badcookie(snap, rq, q);
	return dns_question_only(snap, rq, q, BITS2_QR, RCODE_NOERROR, 0, VERDICT_dns_cookie);
}

/* Types we never answer: transfers, TKEY and the like; OPT is not a QTYPE. */
static bool type_refused(uint16_t type)
{
	return (type >= TYPE_META_FIRST && type <= TYPE_META_LAST && type != TYPE_ANY) ||
	       type == TYPE_OPT;
}

/* Questions that no zone answers: none at all, another class, a type that is not data. */
static enum verdict other_question(const struct snapshot *snap, struct request *rq,
				   const struct dns_query *q)
{
	if (q->end == HEADER_SIZE)
		return no_question(snap, rq, q);
	if (q->class == CLASS_CH)
		return dns_chaos(snap, rq, q);
	return dns_question_only(snap, rq, q, BITS2_QR, RCODE_REFUSED, EDE_NOT_SUPPORTED,
				 VERDICT_dns_refused);
}

enum verdict dns_read(const struct snapshot *snap, struct thread_state *state, struct request *rq,
		      struct dns_query *q)
{
	const uint8_t *p = rq->payload;
	int error;

	if (rq->length < HEADER_SIZE)
		return VERDICT_dns_short;
	/* Even a reply without records may be longer than its request: dns/edns.c. */
	if (rq->room < DNS_UDP_MIN)
		return VERDICT_dns_no_room;
	if (p[2] & BITS2_QR)
		return VERDICT_dns_response;
	if (p[2] & BITS2_OPCODE)
		return dns_notimp(rq);

	q->edns_size = q->opt_bytes = q->edns_flags = q->options = q->options_length = 0;
	q->tsig = q->edns_version = 0;
	q->edns = q->nsid = q->zone_version = q->report = q->has_subnet = false;
	q->has_cookie = q->cookie_valid = q->cookie_bad = false;
	q->bucket = NULL;
	error = read_sections(p, rq->length, q);
	if (__builtin_expect(q->tsig && !error, 0))
		return dns_tsig_refused(snap, rq, q);
	if (q->options_length)
		error |= dns_options_read(snap, state, rq, q);
	if (error)
		return dns_formerr(snap, rq, q);
	if (snap->dns.statistics)
		dns_count_query(&state->traffic, rq, q);
	if (snap->dns.report_length)
		dns_report_begin(snap, q);
	if (q->edns_version)
		return dns_question_only(snap, rq, q, BITS2_QR, RCODE_BADVERS, 0,
					 VERDICT_dns_badvers);
	if (q->class != CLASS_IN || type_refused(q->type))
		return other_question(snap, rq, q);
	zone_search_begin(&q->search, snap->zones, &q->name);
	return VERDICT_PENDING;
}
