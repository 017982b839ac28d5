// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer target for ratelimit_hash() and ratelimit_check(): any rule within its bounds, any
 * requests from four sources in a table of two lines, with a clock that also goes backward. The
 * requests within the limit are compared with what the rule allows.
 *
 * An input is the rule's 6 fields and 2 bytes per request: source (2 bits) and clock step (log2 of
 * nanoseconds; 63 = back by the value of the second byte), random bits.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "admit/ratelimit.h"

#define SOURCES 4
#define ENTRIES (2 * RATELIMIT_WAYS)

static struct ratelimit_rule rule_of(const uint8_t *fields)
{
	struct ratelimit_rule rule = {
		.interval = (int8_t)(RATELIMIT_INTERVAL_MIN + fields[0] % 32),
		.burst = (uint8_t)(1 + fields[1] % RATELIMIT_BURST_MAX),
		.leak = fields[2] % (RATELIMIT_SHARE_MAX + 1),
		.kod = fields[3] % (RATELIMIT_SHARE_MAX + 1),
		.ipv4_prefix = (uint8_t)(1 + fields[4] % 32),
		.ipv6_prefix = (uint8_t)(1 + fields[5] % 128),
	};

	return rule;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* They differ in the first byte, so only short prefixes are shared. */
	static const uint8_t address[SOURCES][16] = {{1, 2, 3}, {0x41}, {0x81, [15] = 9}, {0xc1}};
	static const struct hash_key key[RATELIMIT_KEYS] = {{0x0123456789abcdef, HASH_FACTOR},
							    {3, ~HASH_FACTOR}};
	static _Alignas(64)
		uint8_t memory[sizeof(struct ratelimit_table) +
			       ENTRIES / RATELIMIT_WAYS * sizeof(struct ratelimit_line)];
	uint64_t now = 0, latest = 0, allowed[SOURCES] = {0};
	struct ratelimit_table *table;
	struct ratelimit_rule rule;

	if (size < 6)
		return 0;
	CHECK(sizeof memory == ratelimit_table_bytes(ENTRIES));
	table = ratelimit_table_init(memory, ENTRIES, key);
	rule = rule_of(data);
	for (size_t i = 6; i + 1 < size; i += 2) {
		uint32_t source = data[i] & 3, step = data[i] >> 2,
			 random = data[i + 1] * 0x01010101u;
		uint8_t version = source & 1 ? 4 : 6;
		uint64_t hash = ratelimit_hash(table, &rule, address[source], version);
		double earned;

		now = step == 63 ? now - data[i + 1] : now + (1ull << step);
		latest = now > latest ? now : latest;
		ratelimit_prefetch(table, hash);
		switch (ratelimit_check(table, &rule, hash, now, random)) {
		case RATELIMIT_PASS:
			allowed[source]++;
			break;
		case RATELIMIT_LEAK:
			CHECK(rule.leak);
			break;
		case RATELIMIT_KOD:
			CHECK(rule.kod);
			break;
		default:
			break;
		}
		earned = (double)latest / 1e9;
		for (int n = rule.interval; n; n += n < 0 ? 1 : -1)
			earned *= n < 0 ? 2.0 : 0.5;
		CHECK((double)allowed[source] <= rule.burst + earned + 1.01);
	}
	return 0;
}
