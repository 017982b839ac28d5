/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Response rate limiting: how many answers a source address, and each prefix that it lies in, may
 * be sent over UDP, where a source address is easily forged.
 *
 *   IPv4: /32 x 1, /24 x 32, /20 x 256, /18 x 768    IPv6: /128 x 1, /64 x 2, /56 x 3, /48 x 4,
 *                                                          /32 x 64
 *
 * A prefix is given its factor times `rate` answers a second, and its factor times `instant` at
 * once after a rest; prefixes and factors are those of Knot DNS 3.4. An answer is sent if all of
 * its source's prefixes have room for it, and then counts in all of them; one that is not sent
 * counts in none. So a victim in whose name somebody asks ever so often takes at most its own
 * address's rate out of what its neighbours have in common, and who keeps asking is no worse off.
 *
 * A counter falls linearly with time (a token bucket): what may pass in a span of time is then a
 * plain sum, `instant` and `rate` times the span, and who keeps to the rate is never limited. An
 * exponential one falls fastest just after a burst, so that neither can be said of it. As all of a
 * bucket is worth instant/rate seconds, a counter is one number, the time at which it will be back
 * at zero, and a counter whose time has come says no more than none at all.
 *
 * Hence a small table will do: of n answers a second to as many sources, n/rate addresses have a
 * counter above zero, and few prefixes beside them: 65536 entries hold those of 3 million a second
 * by the default rule. Where there are more, a newcomer takes the entry of its line that will be
 * back at zero soonest, the one that says least. All that this can do is forget: it never limits
 * anybody. Two prefixes share a counter if they have a line in common, and 32 more bits of a keyed
 * hash: a newcomer meets a stranger's with a probability of at most 4/2^32.
 *
 * Thread rule: a table is one thread's own; a source whose packets reach several threads has its
 * rate in each. A rule is part of the snapshot and never written. Nothing here allocates, reads a
 * clock or draws a number.
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

/* With more, a widest prefix's time per answer would be cut by over 0.2 %. */
#define RRL_RATE_MAX 100000

/* Ten seconds of the highest rate; at the lowest a bucket is then worth 12 days. */
#define RRL_INSTANT_MAX 1000000

#define RRL_SLIP_MAX 100

/*
 * Times are in 1/64 ns, multiples of four but for the way that a time is in: 1/16 ns is exact
 * enough for the shortest. 58 bits of ns are 9 years.
 */
struct rrl_level {
	uint64_t step; /* what an answer is worth */
	uint64_t most; /* what a bucket is */
};

struct rrl_rule {
	uint32_t rate; /* of an address, answers a second; 0: no limit at all */
	uint32_t slip; /* one of so many limited answers is a small one instead; 0: none */
	struct rrl_level ipv4[RRL_IPV4_LEVELS];
	struct rrl_level ipv6[RRL_IPV6_LEVELS];
};

/* Prefixes in a cache line: TAGS. */
#define RRL_WAYS 4

struct rrl_line {
	_Alignas(64) uint64_t until[RRL_WAYS]; /* when it is back at zero; last bits: way */
	uint32_t tag[RRL_WAYS];                /* of the hash, bits that do not choose the line */
};

_Static_assert(sizeof(struct rrl_line) == 64, "one cache line");

/* One a level, IPv4's first. */
#define RRL_KEYS (RRL_IPV4_LEVELS + RRL_IPV6_LEVELS)

struct rrl_table {
	struct hash_key key[RRL_KEYS];
	uint64_t mask; /* of a line's offset, bytes */
	struct rrl_line line[];
};

/* Where a source's counters are, from one pass over a batch to the next. */
struct rrl_slots {
	struct rrl_line *line[RRL_IPV6_LEVELS];
	uint32_t tag[RRL_IPV6_LEVELS];
};

/*
 * Makes a rule of answers a second (0 to RRL_RATE_MAX), answers at once (1 to RRL_INSTANT_MAX) and
 * slip (0 to RRL_SLIP_MAX); who calls it checks them.
 */
void rrl_rule_set(struct rrl_rule *rule, uint32_t rate, uint32_t instant, uint32_t slip);

/* Bytes of a table; `entries` is a power of two, RRL_WAYS at least. */
size_t rrl_table_bytes(uint32_t entries);

/*
 * Makes an empty table in `memory`: 64-byte aligned, rrl_table_bytes(entries) long, the caller's
 * before and after. Touches all of it, so that no check meets a page fault. The keys must be
 * random, or an attacker could choose addresses that all fall into one line.
 */
struct rrl_table *rrl_table_init(void *memory, uint32_t entries,
				 const struct hash_key key[RRL_KEYS]);

/*
 * Finds where the counters of `source` (network order, 4 or 16 bytes) are, and brings their cache
 * lines, one a level, into the cache.
 */
void rrl_locate(struct rrl_table *table, const uint8_t *source, uint8_t ip_version,
		struct rrl_slots *slots);

/*
 * True if an answer may be sent at `now_ns` (CLOCK_MONOTONIC, nanoseconds, below 2^58), which is
 * then counted. The rule's rate must not be 0. Never inlined: it would take the registers of the
 * way of all that is not limited.
 */
__attribute__((noinline)) bool rrl_pass(const struct rrl_rule *rule, const struct rrl_slots *slots,
					uint8_t ip_version, uint64_t now_ns);

#endif
