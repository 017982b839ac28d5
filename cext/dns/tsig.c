// SPDX-License-Identifier: Apache-2.0
#include "dns/tsig.h"

#include "base/bytes.h"
#include "dns/edns.h"
#include "dns/message.h"
#include "dns/wire.h"

/* RDATA after the algorithm's name, RFC 8945 section 4.2: time and fudge, size of the MAC ... */
#define TIME_BYTES 8
#define MAC_SIZE   TIME_BYTES
#define MAC        (MAC_SIZE + 2)
/* ... and after the MAC: original ID, error, size of other data. */
#define AFTER_MAC 6
#define ERROR_AT  2
#define OTHER_AT  4

/*
 * The uncompressed length of the name at `at`, copied to `name` (ZONE_NAME_MAX bytes) unless that
 * is NULL; 0 if it is no name. Pointers must lead back, so it ends.
 */
static uint32_t expand(const uint8_t *p, uint32_t at, uint32_t end, uint8_t *name)
{
	uint32_t length = 0;

	while (at < end) {
		uint32_t label = p[at];

		if (label >= POINTER >> 8) {
			uint32_t to;

			if (at + 2 > end)
				return 0;
			to = load_be16(p + at) & POINTER_MAX;
			if (to < HEADER_SIZE || to >= at)
				return 0;
			end = at;
			at = to;
			continue;
		}
		if (label > 63 || at + label + 1 > end || length + label + 1 > ZONE_NAME_MAX)
			return 0;
		if (name)
			memcpy(name + length, p + at, label + 1);
		length += label + 1;
		at += label + 1;
		if (!label)
			return length;
	}
	return 0;
}

bool dns_tsig_sound(const uint8_t *p, uint32_t owner, uint32_t fixed)
{
	const uint8_t *rdata = p + fixed + RR_FIXED;
	uint32_t length = load_be16(p + fixed + 8), at = zone_wire_name_length(rdata, length);

	if (load_be16(p + fixed + 2) != CLASS_ANY || load_be32(p + fixed + 4) ||
	    !expand(p, owner, fixed, NULL))
		return false;
	if (!at || length - at < MAC)
		return false;
	at += MAC + load_be16(rdata + at + MAC_SIZE);
	if (at > length || length - at < AFTER_MAC)
		return false;
	return at + AFTER_MAC + load_be16(rdata + at + OTHER_AT) == length;
}

/* Writes a TSIG without a MAC that says BADKEY; its names and times are the request's. */
static uint32_t put_unsigned(uint8_t *to, const uint8_t *key, uint32_t key_length,
			     const uint8_t *rdata, uint32_t algorithm, uint16_t original_id)
{
	uint8_t *fixed = to + key_length, *after = fixed + RR_FIXED + algorithm;

	memcpy(to, key, key_length);
	store_be16(fixed, TYPE_TSIG);
	store_be16(fixed + 2, CLASS_ANY);
	store_be32(fixed + 4, 0);
	store_be16(fixed + 8, (uint16_t)(algorithm + MAC + AFTER_MAC));
	memcpy(fixed + RR_FIXED, rdata, algorithm + TIME_BYTES);
	store_be16(after + MAC_SIZE, 0);
	store_be16(after + MAC, original_id);
	store_be16(after + MAC + ERROR_AT, TSIG_BADKEY);
	store_be16(after + MAC + OTHER_AT, 0);
	return (uint32_t)(after + MAC + AFTER_MAC - to);
}

enum verdict dns_tsig_refused(const struct snapshot *snap, struct request *rq,
			      const struct dns_query *q)
{
	uint8_t key[ZONE_NAME_MAX], rdata[ZONE_NAME_MAX + TIME_BYTES], *p = rq->payload;
	const uint8_t *from = p + q->tsig_fixed + RR_FIXED;
	uint32_t length = load_be16(p + q->tsig_fixed + 8);
	uint32_t key_length = expand(p, q->tsig, q->tsig_fixed, key);
	uint32_t algorithm = zone_wire_name_length(from, length);
	uint32_t after_mac = algorithm + MAC + load_be16(from + algorithm + MAC_SIZE);
	uint32_t size = key_length + RR_FIXED + algorithm + MAC + AFTER_MAC;
	uint16_t original_id = load_be16(from + after_mac);

	if (q->end + size > dns_size_limit(snap, rq, q))
		return dns_question_only(snap, rq, q, BITS2_QR | BITS2_TC, RCODE_NOTAUTH, 0,
					 VERDICT_dns_badkey);
	memcpy(rdata, from, algorithm + TIME_BYTES);
	dns_question_only(snap, rq, q, BITS2_QR, RCODE_NOTAUTH, 0, VERDICT_dns_badkey);
	rq->length += put_unsigned(p + rq->length, key, key_length, rdata, algorithm, original_id);
	store_be16(p + 10, load_be16(p + 10) + 1);
	return VERDICT_dns_badkey;
}
