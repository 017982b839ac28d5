// SPDX-License-Identifier: Apache-2.0
#include "rrl.h"

#include <string.h>

#include "hash.h"
#include "tags.h"

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
 * A time per answer is rounded down, to a multiple of RRL_WAYS: who keeps to the rate is never
 * limited. Of a bucket exactly `instant` times its factor pass at once.
 */
static void level_set(struct rrl_level *level, const struct prefix *prefix, uint32_t rate,
		      uint32_t instant)
{
	level->step = TICKS_PER_SECOND / RRL_WAYS / ((uint64_t)rate * prefix->factor) * RRL_WAYS;
	level->most = level->step * instant * prefix->factor;
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
				 const uint64_t secret[HASH_SECRET_WORDS])
{
	struct rrl_table *table = memory;

	memset(table, 0, rrl_table_bytes(entries));
	memcpy(table->secret, secret, sizeof table->secret);
	table->mask = entries / RRL_WAYS - 1;
	return table;
}

/* ---------------------------------------------------------------------------------------------- */

static inline void locate(struct rrl_table *table, const struct hash_source *source,
			  const struct prefix *prefix, uint32_t levels, struct rrl_place *place)
{
	for (uint32_t i = 0; i < levels; i++) {
		uint64_t hash = hash_prefix(table->secret, source, prefix[i].bits, i);

		place->line[i] = &table->line[hash & table->mask];
		place->tag[i] = hash >> 32;
		__builtin_prefetch(place->line[i], 1);
	}
}

void rrl_locate(struct rrl_table *table, const uint8_t *source, uint8_t ip_version,
		struct rrl_place *place)
{
	struct hash_source words = hash_source_of(source, ip_version);

	if (ip_version == 4)
		locate(table, &words, ipv4_prefix, RRL_IPV4_LEVELS, place);
	else
		locate(table, &words, ipv6_prefix, RRL_IPV6_LEVELS, place);
}

/* ---------------------------------------------------------------------------------------------- */

/* The way that says least; times have room for its number, so that nothing branches. */
static inline uint32_t way_least(const struct rrl_line *line)
{
	uint64_t least = line->until[0], other;

	for (uint32_t i = 1; i < RRL_WAYS; i++) {
		other = line->until[i] + i;
		least = other < least ? other : least;
	}
	return least % RRL_WAYS;
}

static inline void put(struct rrl_line *line, uint32_t way, uint32_t tag, uint64_t until)
{
	line->until[way] = until;
	line->tag[way] = tag;
}

static inline bool pass(const struct rrl_level *level, const struct rrl_place *place,
			uint32_t levels, uint64_t now)
{
	uint32_t way[RRL_IPV6_LEVELS], known;
	uint64_t until[RRL_IPV6_LEVELS], was, full;
	struct rrl_line *line;
	bool room = true;

	for (uint32_t i = 0; i < levels; i++) {
		line = place->line[i];
		known = tags_equal(line->tag, place->tag[i]);
		/* The way it has or, in the bits above, the one to take: neither can be guessed. */
		way[i] = __builtin_ctz(known | 1u << (RRL_WAYS + way_least(line))) % RRL_WAYS;
		was = line->until[way[i]] & -(uint64_t)(known != 0);
		full = now + level[i].most;
		/* Another rule, or a clock that went back, may have left it more than full. */
		if (__builtin_expect(was > full, 0))
			was = line->until[way[i]] = full;
		until[i] = (was > now ? was : now) + level[i].step;
		room &= until[i] <= full;
	}
	if (!room)
		return false;
	for (uint32_t i = 0; i < levels; i++)
		put(place->line[i], way[i], place->tag[i], until[i]);
	/* Where levels share a line a newcomer may have taken the way of an earlier one. */
	for (uint32_t i = 0; i < levels - 1; i++) {
		line = place->line[i];
		if (__builtin_expect(line->tag[way[i]] != place->tag[i], 0))
			put(line, way_least(line), place->tag[i], until[i]);
	}
	return true;
}

bool rrl_pass(const struct rrl_rule *rule, const struct rrl_place *place, uint8_t ip_version,
	      uint64_t now_ns)
{
	uint64_t now = now_ns * TICKS_PER_NS;

	if (ip_version == 4)
		return pass(rule->ipv4, place, RRL_IPV4_LEVELS, now);
	return pass(rule->ipv6, place, RRL_IPV6_LEVELS, now);
}
