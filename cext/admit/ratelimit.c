// SPDX-License-Identifier: Apache-2.0
#include "admit/ratelimit.h"

#include <stdbool.h>
#include <string.h>

#include "base/hash.h"

/* Tokens per request: a bucket of 255 requests fits 16 bits. */
#define TOKEN 256u

/*
 * 2^27/10^9 ticks per nanosecond, times 2^64. Rounded up: one interval is then always worth a whole
 * request, so that a client that asks once per interval is never over the limit.
 */
#define TICKS_PER_NS 2475880078570760550u

/* log2 of the ticks in a quarter of 2^-10 s, the unit in which gaps are measured. */
#define GAP_SHIFT (27 - 10 - 2)

/*
 * Gaps below 2^-10 s are not told apart: the requests of one batch share one time. The longest gap,
 * all 63 bits of ticks, is 183.
 */
#define GAP_UNKNOWN 255u

/* In quarter steps: past this, a gap after drops is "less than half" of one after answers. */
#define GAP_HALF 4

size_t ratelimit_table_bytes(uint32_t entries)
{
	return sizeof(struct ratelimit_table) +
	       (size_t)entries / RATELIMIT_WAYS * sizeof(struct ratelimit_line);
}

struct ratelimit_table *ratelimit_table_init(void *memory, uint32_t entries,
					     const struct hash_key key[RATELIMIT_KEYS])
{
	struct ratelimit_table *table = memory;

	memset(table, 0, ratelimit_table_bytes(entries));
	memcpy(table->key, key, sizeof table->key);
	table->mask = entries / RATELIMIT_WAYS - 1;
	return table;
}

/* ---------------------------------------------------------------------------------------------- */

uint64_t ratelimit_hash(const struct ratelimit_table *table, const struct ratelimit_rule *rule,
			const uint8_t *source, uint8_t ip_version)
{
	struct hash_source words = hash_source_of(source, ip_version);

	if (ip_version == 4)
		return hash_prefix(&table->key[0], &words, rule->ipv4_prefix);
	return hash_prefix(&table->key[1], &words, rule->ipv6_prefix);
}

/* ---------------------------------------------------------------------------------------------- */

static inline uint64_t ticks(uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * TICKS_PER_NS >> 64);
}

/* log2 of the ticks that earn one token, 1/256 of a request. */
static inline uint32_t unit_shift(const struct ratelimit_rule *rule)
{
	return (uint32_t)(rule->interval - RATELIMIT_INTERVAL_MIN);
}

static inline uint32_t tokens_max(const struct ratelimit_rule *rule)
{
	return rule->burst * TOKEN;
}

/* When its bucket is full: from then on the entry says no more than an empty one. */
static inline uint64_t full_at(const struct ratelimit_entry *entry,
			       const struct ratelimit_rule *rule)
{
	uint32_t most = tokens_max(rule);
	uint64_t missing = entry->tokens < most ? most - entry->tokens : 0;

	return entry->tag ? entry->last + (missing << unit_shift(rule)) : 0;
}

static struct ratelimit_entry *fullest(struct ratelimit_line *line,
				       const struct ratelimit_rule *rule)
{
	struct ratelimit_entry *best = &line->entry[0];
	uint64_t best_at = full_at(best, rule), at;

	for (int i = 1; i < RATELIMIT_WAYS; i++) {
		at = full_at(&line->entry[i], rule);
		if (at < best_at) {
			best = &line->entry[i];
			best_at = at;
		}
	}
	return best;
}

/* The log2 of a gap between requests, in quarter steps. */
static inline uint8_t gap_measure(uint64_t gap)
{
	uint32_t top;

	gap >>= GAP_SHIFT;
	if (gap < 4)
		return 0;
	top = 63 - (uint32_t)__builtin_clzll(gap);
	/* The two bits below the highest: linear interpolation between powers of two is enough. */
	return (uint8_t)((top - 2) * 4 + (gap >> (top - 2) & 3));
}

/* A moving average: moves by an eighth of the difference, at least one step. */
static inline uint8_t gap_towards(uint8_t average, uint8_t gap)
{
	int way = gap - average;

	/* The shift rounds down; adding 7 rounds up. */
	return (uint8_t)(average + ((way + (way > 0 ? 7 : 0)) >> 3));
}

static inline void gap_update(struct ratelimit_entry *entry, uint8_t gap)
{
	uint8_t *average = &entry->gap[entry->dropped];

	/* The average after drops starts from the other one: a single gap says little. */
	if (*average == GAP_UNKNOWN)
		*average = entry->gap[0] == GAP_UNKNOWN ? gap : entry->gap[0];
	*average = gap_towards(*average, gap);
}

/* Refills the bucket up to `now`; a clock that went backward changes nothing. */
static inline void refill(struct ratelimit_entry *entry, const struct ratelimit_rule *rule,
			  uint64_t now)
{
	uint32_t shift = unit_shift(rule), most = tokens_max(rule);
	uint64_t last = entry->last, tokens;

	if (now < last)
		return;
	gap_update(entry, gap_measure(now - last));
	/* Each time is truncated to units separately: no fraction is lost over many requests. */
	tokens = entry->tokens + ((now >> shift) - (last >> shift));
	entry->tokens = (uint16_t)(tokens < most ? tokens : most);
	entry->last = now;
}

/* The source's entry, new or refilled up to `now`. */
static inline struct ratelimit_entry *find_entry(struct ratelimit_table *table,
						 const struct ratelimit_rule *rule, uint64_t hash,
						 uint64_t now)
{
	struct ratelimit_line *line = &table->line[hash_line(hash) & table->mask];
	uint32_t tag = hash_tag(hash);
	struct ratelimit_entry *entry;
	uint32_t found = 0;

	tag = tag ? tag : 1;
	/* Compares all of them: which one matches cannot be predicted. */
	for (uint32_t i = 0; i < RATELIMIT_WAYS; i++)
		found |= (uint32_t)(line->entry[i].tag == tag) << i;
	if (found) {
		entry = &line->entry[__builtin_ctz(found)];
		refill(entry, rule, now);
		return entry;
	}
	entry = fullest(line, rule);
	*entry = (struct ratelimit_entry){.last = now,
					  .tag = tag,
					  .tokens = (uint16_t)tokens_max(rule),
					  .gap = {GAP_UNKNOWN, GAP_UNKNOWN}};
	return entry;
}

static inline bool asks_more_when_dropped(const struct ratelimit_entry *entry)
{
	return entry->gap[0] != GAP_UNKNOWN && entry->gap[1] + GAP_HALF < entry->gap[0];
}

/* True for 1/2^share of the random numbers. */
static inline bool chance(uint32_t random, uint8_t share)
{
	return !(random & ((1u << share) - 1));
}

enum ratelimit_outcome ratelimit_check(struct ratelimit_table *table,
				       const struct ratelimit_rule *rule, uint64_t hash,
				       uint64_t now_ns, uint32_t random)
{
	struct ratelimit_entry *entry = find_entry(table, rule, hash, ticks(now_ns));

	entry->dropped = false;
	if (entry->tokens >= TOKEN) {
		entry->tokens -= TOKEN;
		return RATELIMIT_PASS;
	}
	if (rule->leak && chance(random, rule->leak) != asks_more_when_dropped(entry)) {
		entry->tokens = 0;
		return RATELIMIT_LEAK;
	}
	entry->dropped = true;
	/* Bits that the leak did not use. */
	if (rule->kod && chance(random >> 16, rule->kod))
		return RATELIMIT_KOD;
	return RATELIMIT_DROP;
}
