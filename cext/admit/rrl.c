// SPDX-License-Identifier: Apache-2.0
#include "admit/rrl.h"

#include <string.h>

#include "base/hash.h"
#include "admit/tags.h"

_Static_assert(RRL_WAYS == TAGS, "one comparison covers a line");

#define TICKS_PER_NS     64ull
#define TICKS_PER_SECOND (TICKS_PER_NS * 1000000000ull)

struct prefix {
	uint8_t bits;
	uint16_t factor;
};

/* Knot DNS 3.4: Response rate limiting, src/knot/modules/rrl. */
static const struct prefix ipv4_prefix[RRL_IPV4_LEVELS] = {{32, 1}, {24, 32}, {20, 256}, {18, 768}};
static const struct prefix ipv6_prefix[RRL_IPV6_LEVELS] = {
	{128, 1}, {64, 2}, {56, 3}, {48, 4}, {32, 64}};

/*
 * The time per answer is rounded down, to a multiple of RRL_WAYS: a source that keeps to the rate
 * is never limited. A bucket passes exactly `instant` times its factor at once.
 */
static void level_set(struct rrl_level *level, const struct prefix *prefix, uint32_t rate,
		      uint32_t instant)
{
	level->step = TICKS_PER_SECOND / RRL_WAYS / ((uint64_t)rate * prefix->factor) * RRL_WAYS;
	/* With room for the way, in a time's lowest bits. */
	level->most = level->step * instant * prefix->factor + RRL_WAYS - 1;
}

void rrl_rule_set(struct rrl_rule *rule, uint32_t rate, uint32_t instant, uint32_t slip)
{
	*rule = (struct rrl_rule){.rate = rate, .slip = slip};
	if (!rate)
		return;
	for (int i = 0; i < RRL_IPV4_LEVELS; i++)
		level_set(&rule->ipv4[i], &ipv4_prefix[i], rate, instant);
	for (int i = 0; i < RRL_IPV6_LEVELS; i++)
		level_set(&rule->ipv6[i], &ipv6_prefix[i], rate, instant);
}

size_t rrl_table_bytes(uint32_t entries)
{
	return sizeof(struct rrl_table) + (size_t)entries / RRL_WAYS * sizeof(struct rrl_line);
}

struct rrl_table *rrl_table_init(void *memory, uint32_t entries,
				 const struct hash_key key[RRL_KEYS])
{
	struct rrl_table *table = memory;

	memset(table, 0, rrl_table_bytes(entries));
	for (uint32_t line = 0; line < entries / RRL_WAYS; line++)
		for (uint32_t way = 0; way < RRL_WAYS; way++)
			table->line[line].until[way] = way;
	memcpy(table->key, key, sizeof table->key);
	table->mask = (uint64_t)(entries / RRL_WAYS - 1) * sizeof(struct rrl_line);
	return table;
}

/* ---------------------------------------------------------------------------------------------- */

static inline void locate(struct rrl_table *table, const struct hash_source *source,
			  const struct hash_key *key, const struct prefix *prefix, uint32_t levels,
			  struct rrl_slots *slots)
{
	uint8_t *lines = (uint8_t *)table->line;
	uint64_t mask = table->mask;

	for (uint32_t i = 0; i < levels; i++) {
		uint64_t hash = hash_prefix(&key[i], source, prefix[i].bits);

		slots->line[i] = (struct rrl_line *)(lines + (hash_line(hash) & mask));
		slots->tag[i] = hash_tag(hash);
		__builtin_prefetch(slots->line[i], 1);
	}
}

void rrl_locate(struct rrl_table *table, const uint8_t *source, uint8_t ip_version,
		struct rrl_slots *slots)
{
	struct hash_source words = hash_source_of(source, ip_version);

	if (ip_version == 4)
		locate(table, &words, table->key, ipv4_prefix, RRL_IPV4_LEVELS, slots);
	else
		locate(table, &words, table->key + RRL_IPV4_LEVELS, ipv6_prefix, RRL_IPV6_LEVELS,
		       slots);
}

/* ---------------------------------------------------------------------------------------------- */

/* The way that says least. Every time has its way in its lowest bits, so nothing branches. */
static inline uint32_t way_least(const struct rrl_line *line)
{
	uint64_t least = line->until[0];

	for (uint32_t i = 1; i < RRL_WAYS; i++)
		least = line->until[i] < least ? line->until[i] : least;
	return least % RRL_WAYS;
}

static inline void put(struct rrl_line *line, uint32_t tag, uint64_t until)
{
	uint32_t way = until % RRL_WAYS;

	line->until[way] = until;
	line->tag[way] = tag;
}

/* Caps buckets that another rule, or a clock that went backward, left more than full. */
static inline void cap(const struct rrl_level *level, const struct rrl_slots *slots,
		       const uint64_t *until, uint32_t levels, uint64_t now)
{
	for (uint32_t i = 0; i < levels; i++) {
		uint32_t way = until[i] % RRL_WAYS;
		uint64_t full = now + level[i].most - (RRL_WAYS - 1) + way;

		if (slots->line[i]->until[way] > full)
			slots->line[i]->until[way] = full;
	}
}

static inline bool pass(const struct rrl_level *level, const struct rrl_slots *slots,
			uint32_t levels, uint64_t now)
{
	uint64_t until[RRL_IPV6_LEVELS], was;
	struct rrl_line *line;
	uint32_t known, way;
	bool room = true, replaces = false;

	for (uint32_t i = 0; i < levels; i++) {
		line = slots->line[i];
		known = tags_equal(line->tag, slots->tag[i]);
		/* Mostly predicted: wide prefixes are known, and floods come from new addresses. */
		if (known) {
			way = (uint32_t)__builtin_ctz(known);
			was = line->until[way];
			was = was > now ? was : now;
		} else {
			way = way_least(line);
			was = now;
			replaces = true;
		}
		until[i] = (was + level[i].step) | way;
		room &= until[i] <= now + level[i].most;
	}
	if (!room) {
		cap(level, slots, until, levels, now);
		return false;
	}
	for (uint32_t i = 0; i < levels; i++)
		put(slots->line[i], slots->tag[i], until[i]);
	if (!replaces)
		return true;
	/* Where levels share a line, a new entry may have replaced that of an earlier level. */
	for (uint32_t i = 0; i < levels - 1; i++) {
		line = slots->line[i];
		if (__builtin_expect(line->tag[until[i] % RRL_WAYS] != slots->tag[i], 0))
			put(line, slots->tag[i], until[i] / RRL_WAYS * RRL_WAYS + way_least(line));
	}
	return true;
}

bool rrl_pass(const struct rrl_rule *rule, const struct rrl_slots *slots, uint8_t ip_version,
	      uint64_t now_ns)
{
	uint64_t now = now_ns * TICKS_PER_NS;

	if (ip_version == 4)
		return pass(rule->ipv4, slots, RRL_IPV4_LEVELS, now);
	return pass(rule->ipv6, slots, RRL_IPV6_LEVELS, now);
}
