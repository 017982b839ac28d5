/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Response rate limiting: how many answers may be sent over UDP, where a source is easily spoofed,
 * to a source address and to each prefix that contains it.
 *
 *   IPv4: /32 x 1, /24 x 32, /20 x 256, /18 x 768    IPv6: /128 x 1, /64 x 2, /56 x 3, /48 x 4,
 *                                                          /32 x 64
 *
 * A prefix gets its factor times `rate` answers a second, and its factor times `instant` at once
 * after being idle; prefixes and factors are those of Knot DNS 3.4. An answer is sent if all of its
 * source's prefixes have room for it, and then counts in all of them; one that is not sent counts
 * in none. So a victim whose address is spoofed, however often, takes no more than its own
 * address's rate from the prefixes it shares with its neighbors, and asking on while limited costs
 * nothing.
 *
 * A counter decays linearly (a token bucket): what may pass in a span of time is a plain sum,
 * `instant` plus `rate` times the span, and a source that keeps to the rate is never limited. An
 * exponential counter decays fastest just after a burst and can promise neither. As a whole bucket
 * is worth instant/rate seconds, a counter is one number, the time at which it will be back at
 * zero, and an expired counter says no more than none at all.
 *
 * Hence a small table is enough: of n answers a second to as many sources, n/rate addresses have a
 * counter above zero, and few prefixes besides: 65536 entries hold those of 3 million a second
 * under the default rule. When there are more, a new prefix replaces the entry of its line that
 * will be back at zero soonest, the one that says least. That can only forget, never limit anybody.
 * Two prefixes share a counter if they share a line and 32 more bits of a keyed hash: a new prefix
 * hits another's with a probability of at most 4/2^32.
 *
 * Thread safety: a table belongs to one thread; a source whose packets reach several threads has
 * its rate in each. A rule is part of the snapshot and immutable. Nothing here allocates, reads a
 * clock or draws random numbers.
 */
#ifndef XDPKIT_RRL_H
#define XDPKIT_RRL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

/* Prefixes of an address, narrowest first. */
#define RRL_IPV4_LEVELS 4
#define RRL_IPV6_LEVELS 5

/* Above it, rounding would shorten the widest prefix's time per answer by over 0.2 %. */
#define RRL_RATE_MAX 100000

/* Ten seconds at the highest rate; at the lowest rate a bucket is then worth 12 days. */
#define RRL_INSTANT_MAX 1000000

#define RRL_SLIP_MAX 100

/*
 * Times are in 1/64 ns; their lowest two bits hold the way, and the 1/16 ns that is left is precise
 * enough for the shortest step. 58 bits of ns are 9 years.
 */
struct rrl_level {
	uint64_t step; /* the time that one answer costs */
	uint64_t most; /* the time that a full bucket is worth */
};

struct rrl_rule {
	uint32_t rate; /* answers a second to an address; 0: no limit */
	uint32_t slip; /* one in so many limited answers is sent small instead; 0: none */
	struct rrl_level ipv4[RRL_IPV4_LEVELS];
	struct rrl_level ipv6[RRL_IPV6_LEVELS];
};

/* Prefixes in a cache line: TAGS. */
#define RRL_WAYS 4

struct rrl_line {
	_Alignas(64) uint64_t until[RRL_WAYS]; /* when it is back at zero; lowest bits: way */
	uint32_t tag[RRL_WAYS];                /* hash bits that do not select the line */
};

_Static_assert(sizeof(struct rrl_line) == 64, "one cache line");

/* One per level, IPv4's first. */
#define RRL_KEYS (RRL_IPV4_LEVELS + RRL_IPV6_LEVELS)

struct rrl_table {
	struct hash_key key[RRL_KEYS];
	uint64_t mask; /* of a line's offset in bytes */
	struct rrl_line line[];
};

/* Where a source's counters are, kept from one pass over a batch to the next. */
struct rrl_slots {
	struct rrl_line *line[RRL_IPV6_LEVELS];
	uint32_t tag[RRL_IPV6_LEVELS];
};

/*
 * Makes a rule of answers a second (0 to RRL_RATE_MAX), answers at once (1 to RRL_INSTANT_MAX) and
 * slip (0 to RRL_SLIP_MAX); the caller checks the bounds.
 */
void rrl_rule_set(struct rrl_rule *rule, uint32_t rate, uint32_t instant, uint32_t slip);

/* The size of a table in bytes; `entries` is a power of two, at least RRL_WAYS. */
size_t rrl_table_bytes(uint32_t entries);

/*
 * Makes an empty table in `memory`, which the caller owns throughout: 64-byte aligned and
 * rrl_table_bytes(entries) long. Touches all of it, so that no check takes a page fault. The keys
 * must be random, or an attacker could choose addresses that all hash to one line.
 */
struct rrl_table *rrl_table_init(void *memory, uint32_t entries,
				 const struct hash_key key[RRL_KEYS]);

/*
 * Locates the counters of `source` (network order, 4 or 16 bytes) and prefetches their cache lines,
 * one per level.
 */
void rrl_locate(struct rrl_table *table, const uint8_t *source, uint8_t ip_version,
		struct rrl_slots *slots);

/*
 * Whether an answer may be sent at `now_ns` (CLOCK_MONOTONIC, nanoseconds, below 2^58); if so it is
 * counted. The rule's rate must not be 0. Never inlined: that would cost registers on the path of
 * all that is not limited.
 */
__attribute__((noinline)) bool rrl_pass(const struct rrl_rule *rule, const struct rrl_slots *slots,
					uint8_t ip_version, uint64_t now_ns);

#endif
