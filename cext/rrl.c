// SPDX-License-Identifier: Apache-2.0
#include "rrl.h"

#include <string.h>

#include "hash.h"

#define TICKS_PER_NS     16
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
 * A time per answer is rounded down: who keeps to the rate is never limited. Of a bucket exactly
 * `instant` times its factor pass at once.
 */
static void level_set(struct rrl_level *level, const struct prefix *prefix, uint32_t rate,
		      uint32_t instant)
{
	level->step = TICKS_PER_SECOND / ((uint64_t)rate * prefix->factor);
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

static inline void locate(const struct rrl_table *table, const struct hash_source *source,
			  const struct prefix *prefix, uint32_t levels, struct rrl_place *place)
{
	for (uint32_t i = 0; i < levels; i++) {
		place->hash[i] = hash_prefix(table->secret, source, prefix[i].bits, i);
		__builtin_prefetch(&table->line[place->hash[i] & table->mask], 1);
	}
}

void rrl_locate(const struct rrl_table *table, const uint8_t *source, uint8_t ip_version,
		struct rrl_place *place)
{
	struct hash_source words = hash_source_of(source, ip_version);

	if (ip_version == 4)
		locate(table, &words, ipv4_prefix, RRL_IPV4_LEVELS, place);
	else
		locate(table, &words, ipv6_prefix, RRL_IPV6_LEVELS, place);
}

/* ---------------------------------------------------------------------------------------------- */

/* The entry that a newcomer takes: the one of its line that says least. */
static struct rrl_entry *soonest(struct rrl_table *table, uint64_t hash)
{
	struct rrl_entry *entry = table->line[hash & table->mask].entry, *best = entry;

	for (int i = 1; i < RRL_WAYS; i++)
		best = entry[i].until < best->until ? &entry[i] : best;
	return best;
}

/*
 * The entry that a prefix has, or NULL, and when it is back at zero: `now` at the earliest. A
 * bucket that another rule, or a clock that went back, left more than full is a full one.
 */
static inline struct rrl_entry *entry_at(struct rrl_table *table, uint64_t hash, uint64_t now,
					 uint64_t full, uint64_t *until)
{
	struct rrl_entry *entry = table->line[hash & table->mask].entry;
	uint32_t found = 0;

	*until = now;
	/* All of them: which one it is cannot be guessed. */
	for (uint32_t i = 0; i < RRL_WAYS; i++)
		found |= (uint32_t)(entry[i].tag == hash) << i;
	if (!found)
		return NULL;
	entry += __builtin_ctz(found);
	if (entry->until > full)
		entry->until = full;
	*until = entry->until > now ? entry->until : now;
	return entry;
}

static inline bool pass(struct rrl_table *table, const struct rrl_level *level,
			const uint64_t *hash, uint32_t levels, uint64_t now)
{
	struct rrl_entry *entry[RRL_IPV6_LEVELS];
	uint64_t until[RRL_IPV6_LEVELS], full;
	bool room = true;

	for (uint32_t i = 0; i < levels; i++) {
		full = now + level[i].most;
		entry[i] = entry_at(table, hash[i], now, full, &until[i]);
		until[i] += level[i].step;
		room &= until[i] <= full;
	}
	if (!room)
		return false;
	/* Newcomers last: levels that share a line shall not take each other's entry. */
	for (uint32_t i = 0; i < levels; i++)
		if (entry[i])
			entry[i]->until = until[i];
	for (uint32_t i = 0; i < levels; i++)
		if (!entry[i])
			*soonest(table, hash[i]) = (struct rrl_entry){hash[i], until[i]};
	return true;
}

bool rrl_pass(struct rrl_table *table, const struct rrl_rule *rule, const struct rrl_place *place,
	      uint8_t ip_version, uint64_t now_ns)
{
	uint64_t now = now_ns * TICKS_PER_NS;

	if (ip_version == 4)
		return pass(table, rule->ipv4, place->hash, RRL_IPV4_LEVELS, now);
	return pass(table, rule->ipv6, place->hash, RRL_IPV6_LEVELS, now);
}
