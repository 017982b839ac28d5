/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rate limits: a token bucket per source address or prefix.
 *
 * A source may send one request every 2^interval seconds, and `burst` requests at once after being
 * idle. Of the requests over the limit 1/2^leak are answered, at random: otherwise an attacker who
 * spoofs a victim's address could keep the victim's own requests from being answered. Clients that
 * ask more often when they get no answer are given most answers (the leak is inverted): silence
 * would only cost more packets. All of this is as in chrony's `ratelimit`.
 *
 * Thread safety: a table belongs to one thread and is written by every check; a source whose
 * packets reach several threads has a bucket in each. Rules are part of the snapshot and immutable.
 * Nothing here allocates, reads a clock or draws random numbers: time and randomness are arguments.
 *
 * With more sources than entries (a spoofed flood) a new source replaces the entry of its line
 * whose bucket would be full soonest, the one that says least. A forgotten source starts over with
 * a full bucket, so a source within the limit is never dropped; all a flood can do is make us
 * forget. Under the default rule a table of 2^20 entries remembers a source that asks once a second
 * among a million new ones a second, and longer one that was at its limit before. With four times
 * as many entries as busy sources, 1 source in 230 finds its line full.
 */
#ifndef XDPKIT_RATELIMIT_H
#define XDPKIT_RATELIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

/* The bounds of a rule: those of chrony's `ratelimit` directive. */
#define RATELIMIT_INTERVAL_MIN (-19)
#define RATELIMIT_INTERVAL_MAX 12
#define RATELIMIT_BURST_MAX    255
#define RATELIMIT_SHARE_MAX    4

/* Whoever makes a rule checks the bounds above and the widths below. All zeros: no limit. */
struct ratelimit_rule {
	int8_t interval;     /* log2 of seconds between requests, -19..12 */
	uint8_t burst;       /* requests at once after being idle, 1..255 */
	uint8_t leak;        /* 0 = none, 1..4: 1/2^leak over the limit are answered */
	uint8_t kod;         /* 0 = none, 1..4: 1/2^kod of the rest gets a KoD RATE */
	uint8_t ipv4_prefix; /* bits of an address that identify a source, 1..32 */
	uint8_t ipv6_prefix; /* 1..128 */
};

static inline bool ratelimit_is_on(const struct ratelimit_rule *rule)
{
	return rule->burst != 0;
}

enum ratelimit_outcome {
	RATELIMIT_PASS, /* within the limit */
	RATELIMIT_LEAK, /* over the limit, but to be answered */
	RATELIMIT_KOD,  /* over the limit, to be sent a KoD (RFC 5905 section 7.4, RATE) */
	RATELIMIT_DROP,
	RATELIMIT_OUTCOMES
};

/*
 * Times are in ticks of 2^-27 s, 1/256 of the shortest interval: 63 bits last 2177 years. Gaps
 * between requests are moving averages of log2 in quarter steps, 0 = 2^-10 s or less.
 */
struct ratelimit_entry {
	uint64_t last : 63;   /* time of the latest request */
	uint64_t dropped : 1; /* that request got no answer, or a KoD */
	uint32_t tag;         /* 0 = the entry is empty */
	uint16_t tokens;      /* at `last`, in 1/256 of a request */
	uint8_t gap[2];       /* [0] after requests that were answered, [1] after the others */
};

/* Entries per cache line. A source's hash selects the line of its entry. */
#define RATELIMIT_WAYS 4

struct ratelimit_line {
	_Alignas(64) struct ratelimit_entry entry[RATELIMIT_WAYS];
};

_Static_assert(sizeof(struct ratelimit_entry) == 16, "a million sources in 16 MiB");
_Static_assert(sizeof(struct ratelimit_line) == 64, "one cache line");

/* One per address family. */
#define RATELIMIT_KEYS 2

struct ratelimit_table {
	struct hash_key key[RATELIMIT_KEYS];
	uint32_t mask; /* lines - 1 */
	struct ratelimit_line line[];
};

/* The size of a table in bytes; `entries` is a power of two, at least RATELIMIT_WAYS. */
size_t ratelimit_table_bytes(uint32_t entries);

/*
 * Makes an empty table in `memory`, which the caller owns throughout: 64-byte aligned and
 * ratelimit_table_bytes(entries) long. Touches all of it, so that no check takes a page fault. The
 * keys must be random, or an attacker could choose addresses that all hash to one line.
 */
struct ratelimit_table *ratelimit_table_init(void *memory, uint32_t entries,
					     const struct hash_key key[RATELIMIT_KEYS]);

/*
 * The hash of a source (network order, 4 or 16 bytes) truncated to the rule's prefix: 32 bits are
 * the tag, up to 32 others select the line. Two sources share an entry if both match: a new source
 * hits another's entry with a probability of at most 4/2^32, so that a million sources in a million
 * entries are all distinct with a probability of 99.95 %.
 */
uint64_t ratelimit_hash(const struct ratelimit_table *table, const struct ratelimit_rule *rule,
			const uint8_t *source, uint8_t ip_version);

/* Prefetches the one cache line of a check. */
static inline void ratelimit_prefetch(const struct ratelimit_table *table, uint64_t hash)
{
	__builtin_prefetch(&table->line[hash_line(hash) & table->mask], 1);
}

/*
 * Counts a request of the source with this hash at `now_ns` (CLOCK_MONOTONIC, nanoseconds) and says
 * what to do with it. A time before the source's latest counts as the latest. `random` is 32
 * uniformly distributed bits, fresh for each call.
 */
enum ratelimit_outcome ratelimit_check(struct ratelimit_table *table,
				       const struct ratelimit_rule *rule, uint64_t hash,
				       uint64_t now_ns, uint32_t random);

#endif
