// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer target of dns_read(), dns_prefetch() and dns_reply(): any bytes, a buffer of exactly
 * the room that is promised, so that ASAN sees each byte read or written too far. The reply is
 * walked record by record.
 *
 * The first byte of an input sets knobs (room beyond the request, the limit, whether cookies and
 * texts are on, the client's family, whether it is over the rate limit); the rest is the request.
 * The arena is dns_arena.h, made by make_dns.py.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "dns/dns.h"
#include "dns_arena.h"
#include "dns/rrl.h"

#define CHECK(condition)          \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

/* The offset behind the name at `at`; every pointer must lead backwards to a name that ends. */
static uint32_t name_end(const uint8_t *p, uint32_t length, uint32_t at)
{
	uint32_t end = 0, total = 0;

	for (;;) {
		CHECK(at < length);
		if (p[at] >= 0xc0) {
			uint32_t to;

			CHECK(at + 2 <= length);
			to = load_be16(p + at) & 0x3fff;
			CHECK(to >= 12 && to < at);
			end = end ? end : at + 2;
			at = to;
			continue;
		}
		CHECK(p[at] < 64);
		total += p[at] + 1u;
		CHECK(total <= 255);
		if (!p[at])
			return end ? end : at + 1;
		at += p[at] + 1u;
	}
}

/* Every record whole, counts right, nothing behind the last one. */
static void check_reply(const uint8_t *p, uint32_t length)
{
	uint32_t at = 12;

	CHECK(length >= 12 && p[2] & 0x80 && load_be16(p + 4) <= 1);
	if (load_be16(p + 4))
		at = name_end(p, length, at) + 4;
	for (uint32_t n = load_be16(p + 6) + load_be16(p + 8) + load_be16(p + 10); n; n--) {
		at = name_end(p, length, at);
		CHECK(at + 10 <= length);
		at += 10u + load_be16(p + at + 8);
	}
	CHECK(at == length);
}

/* A table in which this source has no answer left. */
static struct rrl_table *used_up(const struct rrl_rule *rule, const struct request *rq)
{
	struct hash_key key[RRL_KEYS];
	static _Alignas(64) uint8_t memory[sizeof(struct rrl_table) + sizeof(struct rrl_line) * 16];
	struct rrl_table *table;
	struct rrl_slots rrl_slots;

	for (uint32_t i = 0; i < RRL_KEYS; i++)
		key[i] = (struct hash_key){i, HASH_FACTOR * (2 * i + 1)};
	table = rrl_table_init(memory, 16 * RRL_WAYS, key);
	rrl_locate(table, rq->source, rq->ip_version, &place);
	CHECK(rrl_pass(rule, &place, rq->ip_version, 0));
	CHECK(!rrl_pass(rule, &place, rq->ip_version, 0));
	return table;
}

/* Over the limit: what no cookie of ours excuses is a small reply, or none. */
static enum verdict limited(const struct snapshot *snap, struct thread_state *state,
			    struct request *rq, struct dns_query *query)
{
	uint32_t asked = rq->length;
	enum verdict verdict;

	state->rrl = used_up(&snap->dns.rrl, rq);
	query->counted = false;
	verdict = dns_rrl_begin(snap, state, rq, query, dns_read(snap, state, rq, query));
	if (verdict == VERDICT_PENDING && query->counted && !dns_rrl_passes(snap, state, rq, query))
		verdict = dns_rrl_reply(snap, state, rq, query);
	else if (verdict == VERDICT_PENDING)
		verdict = dns_reply(snap, rq, query);
	switch (verdict) {
	case VERDICT_dns_short:
	case VERDICT_dns_response:
	case VERDICT_dns_rrl_drop:
		break;
	case VERDICT_dns_rrl_slip:
		CHECK(rq->length <= asked && rq->payload[2] & 2);
		break;
	case VERDICT_dns_badcookie:
		/* A server cookie's 16 bytes more than its client sent. */
		CHECK(rq->length <= asked + DNS_COOKIE_BYTES - 8);
		break;
	default:
		CHECK(query->cookie_valid);
	}
	return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t more[] = {0, 11, 512, 60000};
	static const uint16_t most[] = {1232, 512, 600, 1452, 4096, 65535, 0, 513};
	static const uint8_t source[16] = {192, 0, 2, 1};
	static struct snapshot snap;
	static struct thread_state state;
	struct request rq = {0};
	struct dns_query query;
	enum verdict verdict;
	uint8_t id[2];

	if (!size || size > 4096)
		return 0;
	CHECK(!zone_open(dns_arena, sizeof dns_arena));
	snap.zones = (const struct zone_arena *)dns_arena;
	snap.dns.max_udp[0] = snap.dns.max_udp[1] = most[data[0] >> 3 & 7];
	if (data[0] & 4) {
		snap.dns.cookie_secrets = DNS_COOKIE_SECRETS;
		snap.dns.nsid_length = DNS_NSID_MAX;
		memset(snap.dns.text_length, DNS_TEXT_MAX, sizeof snap.dns.text_length);
	} else {
		snap.dns.cookie_secrets = snap.dns.nsid_length = 0;
		memset(snap.dns.text_length, 0, sizeof snap.dns.text_length);
	}
	rq.source = source;
	rq.ip_version = data[0] & 0x40 ? 6 : 4;
	rq.length = (uint32_t)size - 1;
	rq.room = rq.length + more[data[0] & 3];
	if (rq.room < DNS_UDP_MIN)
		rq.room = DNS_UDP_MIN;
	rq.payload = malloc(rq.room);
	memcpy(rq.payload, data + 1, rq.length);
	memcpy(id, rq.payload, rq.length < 2 ? 0 : 2);

	if (data[0] & 0x80) {
		rrl_rule_set(&snap.dns.rrl, 1, 1, 1);
		verdict = limited(&snap, &state, &rq, &query);
	} else {
		verdict = dns_read(&snap, &state, &rq, &query);
		if (verdict == VERDICT_PENDING) {
			/* A prefetch may or may not have been; both must answer. */
			if (size & 1)
				dns_prefetch(&snap, &query);
			verdict = dns_reply(&snap, &rq, &query);
		}
	}
	if (verdict_answers(verdict)) {
		uint32_t limit = snap.dns.max_udp[0] < 512 ? 512 : snap.dns.max_udp[0];

		CHECK(rq.length <= rq.room && rq.length <= limit);
		CHECK(!memcmp(id, rq.payload, 2));
		check_reply(rq.payload, rq.length);
	}
	free(rq.payload);
	return 0;
}
