/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rate limits: a token bucket for each source address, or for each prefix of addresses.
 *
 * A source may make a request every 2^interval seconds, and `burst` requests at once after a rest.
 * Of what is over the limit 1/2^leak passes all the same, at random: otherwise whoever sends in the
 * name of a victim keeps the victim's own requests from being answered. Clients that ask more
 * often when they get no answer are given most of their answers (the leak is inverted): silence
 * would only cost more packets. All of it as in chrony's `ratelimit`.
 *
 * Thread rule: a table is one thread's own and is written at every check; a source whose packets
 * reach several threads has a bucket in each. Rules are part of the snapshot and never written.
 * Nothing here allocates, reads a clock or draws a number: time and chance are arguments.
 *
 * More sources than entries (a spoofed flood): a new source takes the entry of its line that would
 * be full again soonest, which is the one that says least. A source that was forgotten begins with
 * a full bucket, so nobody who keeps to the limit is ever dropped, and all a flood can do is make
 * us forget. Under the default rule a table of 2^20 entries remembers a source that asks once a
 * second among a million new ones a second, and longer any that was at its limit before. Where four
 * times as many entries as busy sources are given, 1 source in 230 finds its line taken by others.
 */
#ifndef XDPKIT_LIMIT_H
#define XDPKIT_LIMIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

/* What a rule may hold: the bounds of chrony's `ratelimit` directive. */
#define RATELIMIT_INTERVAL_MIN (-19)
#define RATELIMIT_INTERVAL_MAX 12
#define RATELIMIT_BURST_MAX    255
#define RATELIMIT_SHARE_MAX    4

/* Within the bounds above and the widths below; who makes a rule checks it. */
struct ratelimit_rule {
	int8_t interval;     /* log2 of seconds between requests, -19..12 */
	uint8_t burst;       /* requests at once after a rest, 1..255 */
	uint8_t leak;        /* 0 = none, 1..4: 1/2^leak of what is over the limit passes */
	uint8_t kod;         /* 0 = none, 1..4: 1/2^kod of the rest gets a KoD RATE */
	uint8_t ipv4_prefix; /* bits of an address that make a source, 1..32 */
	uint8_t ipv6_prefix; /* 1..128 */
};

enum ratelimit_outcome {
	RATELIMIT_PASS, /* within the limit */
	RATELIMIT_LEAK, /* over the limit, and to be answered all the same */
	RATELIMIT_KOD,  /* over the limit, to be told so (RFC 5905 section 7.4, RATE) */
	RATELIMIT_DROP,
	RATELIMIT_OUTCOMES
};

/*
 * Times are in ticks of 2^-27 s, 1/256 of the shortest interval: 63 bits of them are 2177 years.
 * Gaps between requests are log2 in quarter steps, 0 = 2^-10 s or less, moving averages.
 */
struct ratelimit_entry {
	uint64_t last : 63;   /* time of the latest request */
	uint64_t dropped : 1; /* that request got no answer, or a KoD */
	uint32_t tag;         /* 0 = the entry is empty */
	uint16_t tokens;      /* at `last`, in 1/256 of a request */
	uint8_t gap[2];       /* [0] after requests that were answered, [1] after the others */
};

/* What a cache line holds. A source's hash says which line its entry is in. */
#define RATELIMIT_WAYS 4

struct ratelimit_line {
	_Alignas(64) struct ratelimit_entry entry[RATELIMIT_WAYS];
};

_Static_assert(sizeof(struct ratelimit_entry) == 16, "a million sources in 16 MiB");
_Static_assert(sizeof(struct ratelimit_line) == 64, "one cache line");

/* One a family. */
#define RATELIMIT_KEYS 2

struct ratelimit_table {
	struct hash_key key[RATELIMIT_KEYS];
	uint32_t mask; /* lines - 1 */
	struct ratelimit_line line[];
};

/* Bytes of a table; `entries` is a power of two, RATELIMIT_WAYS at least. */
size_t ratelimit_table_bytes(uint32_t entries);

/*
 * Makes an empty table in `memory`: 64-byte aligned, ratelimit_table_bytes(entries) long, the
 * caller's before and after. Touches all of it, so that no check meets a page fault. The keys must
 * be random, or an attacker could choose addresses that all fall into one line.
 */
struct ratelimit_table *ratelimit_table_init(void *memory, uint32_t entries,
					     const struct hash_key key[RATELIMIT_KEYS]);

/*
 * The hash of a source (network order, 4 or 16 bytes) cut to the rule's prefix: 32 bits of it are
 * the tag, up to 32 others choose the line. Two sources share an entry if both agree: a newcomer
 * meets a stranger's entry with a probability of at most 4/2^32, so that of a million sources in a
 * million entries all are apart with 99.95 %.
 */
uint64_t ratelimit_hash(const struct ratelimit_table *table, const struct ratelimit_rule *rule,
			const uint8_t *source, uint8_t ip_version);

/* Brings the one cache line of a check into the cache. */
static inline void ratelimit_prefetch(const struct ratelimit_table *table, uint64_t hash)
{
	__builtin_prefetch(&table->line[hash_line(hash) & table->mask], 1);
}

/*
 * Counts a request of the source with this hash at `now_ns` (CLOCK_MONOTONIC, nanoseconds) and says
 * what to do with it. A time before the source's latest one counts as that latest one. `random` is
 * 32 evenly distributed bits, drawn anew for each call.
 */
enum ratelimit_outcome ratelimit_check(struct ratelimit_table *table,
				       const struct ratelimit_rule *rule, uint64_t hash,
				       uint64_t now_ns, uint32_t random);

#endif
