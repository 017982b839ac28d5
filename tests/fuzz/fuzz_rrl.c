// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer target for rrl_locate() and rrl_pass(): any rule within its bounds, any answers to
 * eight sources that share prefixes, in a table that remembers all of them, with a clock that also
 * goes backward. Allowed answers are compared with what the rule gives each of the prefixes.
 *
 * An input is the rule's rate and instant (2 bytes each) and 2 bytes per answer: source (3 bits)
 * and clock step (log2 of nanoseconds), how many answers at once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fuzz.h"
#include "admit/rrl.h"

#define SOURCES 4
#define ENTRIES 4096

struct level {
	uint8_t bits;
	uint32_t factor;
};

/* As in admit/rrl.h. */
static const struct level ipv4[RRL_IPV4_LEVELS] = {{32, 1}, {24, 32}, {20, 256}, {18, 768}};
static const struct level ipv6[RRL_IPV6_LEVELS] = {{128, 1}, {64, 2}, {56, 3}, {48, 4}, {32, 64}};

/* They share prefixes of several lengths. */
static const uint8_t sources[2][SOURCES][16] = {
	{{10, 0, 0, 1}, {10, 0, 0, 2}, {10, 0, 1, 1}, {10, 0, 0x3f, 1}},
	{{1, [15] = 1}, {1, [15] = 2}, {1, [7] = 1}, {1, [5] = 1}},
};

static bool same_prefix(const uint8_t *a, const uint8_t *b, uint32_t bits)
{
	uint32_t bytes = bits / 8, rest = bits % 8;

	return !memcmp(a, b, bytes) && (!rest || !((a[bytes] ^ b[bytes]) >> (8 - rest)));
}

/* The answers allowed to each source are within the bounds of each of its prefixes. */
static void check(const uint64_t allowed[2][SOURCES], uint32_t rate, uint32_t instant, double ns)
{
	for (int family = 0; family < 2; family++) {
		const struct level *level = family ? ipv6 : ipv4;
		int levels = family ? RRL_IPV6_LEVELS : RRL_IPV4_LEVELS;

		for (int i = 0; i < levels; i++) {
			/* A time per answer is rounded down, by 0.5 % at most. */
			double most = level[i].factor * (instant + rate * ns * 1.005e-9) + 1;
			uint64_t sum = 0;

			for (int n = 0; n < SOURCES; n++)
				if (same_prefix(sources[family][0], sources[family][n],
						level[i].bits))
					sum += allowed[family][n];
			CHECK((double)sum <= most);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hash_key key[RRL_KEYS];
	static _Alignas(64) uint8_t
		memory[sizeof(struct rrl_table) + ENTRIES / RRL_WAYS * sizeof(struct rrl_line)];
	uint64_t now = 0, forward = 0, allowed[2][SOURCES] = {{0}};
	uint32_t rate, instant;
	struct rrl_table *table;
	struct rrl_slots slots;
	struct rrl_rule rule;

	if (size < 4)
		return 0;
	CHECK(sizeof memory == rrl_table_bytes(ENTRIES));
	for (uint32_t i = 0; i < RRL_KEYS; i++)
		key[i] = (struct hash_key){i, HASH_FACTOR * (2 * i + 1)};
	table = rrl_table_init(memory, ENTRIES, key);
	rate = 1 + load_be16(data) % RRL_RATE_MAX;
	instant = 1 + load_be16(data + 2) % RRL_INSTANT_MAX;
	rrl_rule_set(&rule, rate, instant, 1);
	for (size_t i = 4; i + 1 < size; i += 2) {
		uint32_t family = data[i] & 1, source = data[i] >> 1 & (SOURCES - 1);
		uint8_t version = family ? 6 : 4, step = data[i] >> 3;

		/* Time that passes again after a step backward earns again. */
		if (step == 31) {
			now >>= 1;
		} else {
			now += 1ull << step;
			forward += 1ull << step;
		}
		rrl_locate(table, sources[family][source], version, &slots);
		for (uint32_t n = 0; n <= data[i + 1]; n++)
			allowed[family][source] += rrl_pass(&rule, &slots, version, now);
	}
	check(allowed, rate, instant, (double)forward);
	return 0;
}
