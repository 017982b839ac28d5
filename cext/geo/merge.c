// SPDX-License-Identifier: Apache-2.0
#include "geo/merge.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define ROOM_MIN  1024
#define SLOTS_MIN 4096

/* Where a merge is in each table, and what is there. */
struct cursors {
	uint32_t at[GEO_TABLES_MAX];
	uint32_t id[GEO_TABLES_MAX];
	uint64_t next[GEO_TABLES_MAX]; /* start of the next range, if there is one */
};

static uint64_t start_at(const struct geo_places *table, uint8_t ip_version, uint32_t at)
{
	if (ip_version == 4)
		return (uint64_t)((const uint32_t *)table->start)[at] << 32;
	return ((const uint64_t *)table->start)[at];
}

/* ---------------------------------------------------------------------------------------------- */

static uint64_t hash_of(const uint32_t *id, uint32_t tables)
{
	uint64_t hash = HASH_FACTOR;

	for (uint32_t i = 0; i < tables; i++)
		hash = hash_fold(hash ^ id[i], HASH_GOLDEN);
	return hash;
}

/* The slot of a combination, or the empty one that is its. */
static uint32_t *slot_of(const struct geo_combinations *all, const uint32_t *id)
{
	uint32_t at = (uint32_t)hash_of(id, all->tables) & (all->slots - 1);

	while (all->slot[at] && memcmp(all->id + (size_t)(all->slot[at] - 1) * all->tables, id,
				       all->tables * sizeof *id))
		at = (at + 1) & (all->slots - 1);
	return all->slot + at;
}

static bool grow(struct geo_combinations *all)
{
	const uint32_t room = all->room ? 2 * all->room : ROOM_MIN;
	const uint32_t slots = room * (SLOTS_MIN / ROOM_MIN);
	uint32_t *id = realloc(all->id, (size_t)room * all->tables * sizeof *id);
	uint32_t *slot = id ? calloc(slots, sizeof *slot) : NULL;

	if (id)
		all->id = id;
	if (!slot)
		return false;
	free(all->slot);
	all->slot = slot;
	all->room = room;
	all->slots = slots;
	for (uint32_t i = 0; i < all->count; i++)
		*slot_of(all, id + (size_t)i * all->tables) = i + 1;
	return true;
}

/* The index of a combination, which is added if it is new. */
static enum geo_merge_result find(struct geo_combinations *all, const uint32_t *id, uint32_t *index)
{
	uint32_t *slot;

	if (all->count == all->room && !grow(all))
		return GEO_NO_MEMORY;
	slot = slot_of(all, id);
	if (!*slot) {
		if (all->count == GEO_COMBINATIONS_MAX)
			return GEO_TOO_MANY;
		memcpy(all->id + (size_t)all->count * all->tables, id, all->tables * sizeof *id);
		*slot = ++all->count;
	}
	*index = *slot - 1;
	return GEO_MERGED;
}

/* ---------------------------------------------------------------------------------------------- */

static bool append(struct geo_spans *spans, uint64_t start, uint32_t combination)
{
	if (spans->count && spans->combination[spans->count - 1] == combination)
		return true;
	if (spans->count == spans->room) {
		const uint32_t room = spans->room ? spans->room + spans->room / 2 : ROOM_MIN;
		uint64_t *starts = realloc(spans->start, room * sizeof *starts);
		uint32_t *combinations;

		if (!starts)
			return false;
		spans->start = starts;
		combinations = realloc(spans->combination, room * sizeof *combinations);
		if (!combinations)
			return false;
		spans->combination = combinations;
		spans->room = room;
	}
	spans->start[spans->count] = start;
	spans->combination[spans->count++] = combination;
	return true;
}

/* Whether a table's range at its cursor is sound. */
static bool enter(const struct geo_places *table, uint8_t ip_version, struct cursors *cursors,
		  uint32_t i)
{
	const uint32_t at = cursors->at[i], value = table[i].value[at];

	if (value >= table[i].values)
		return false;
	cursors->id[i] = table[i].id[value];
	cursors->next[i] = UINT64_MAX;
	if (at + 1 == table[i].count)
		return true;
	cursors->next[i] = start_at(table + i, ip_version, at + 1);
	return cursors->next[i] > start_at(table + i, ip_version, at);
}

enum geo_merge_result geo_merge(const struct geo_places *table, uint8_t ip_version,
				struct geo_combinations *all, struct geo_spans *spans)
{
	enum geo_merge_result result = GEO_MERGED;
	struct cursors cursors = {0};
	uint64_t start = 0, left = 0;
	uint32_t combination = 0;

	for (uint32_t i = 0; i < all->tables; i++) {
		if (!table[i].count || start_at(table + i, ip_version, 0) ||
		    !enter(table, ip_version, &cursors, i))
			return GEO_DAMAGED;
		left += table[i].count - 1;
	}
	for (;;) {
		/* Often a change in a table changes nothing. */
		if (!spans->count || memcmp(all->id + (size_t)combination * all->tables, cursors.id,
					    all->tables * sizeof *cursors.id))
			result = find(all, cursors.id, &combination);
		if (result != GEO_MERGED)
			return result;
		if (!append(spans, start, combination))
			return GEO_NO_MEMORY;
		if (!left)
			return GEO_MERGED;
		start = UINT64_MAX;
		for (uint32_t i = 0; i < all->tables; i++)
			start = cursors.next[i] < start ? cursors.next[i] : start;
		for (uint32_t i = 0; i < all->tables; i++) {
			if (cursors.next[i] != start || cursors.at[i] + 1 == table[i].count)
				continue;
			cursors.at[i]++;
			left--;
			if (!enter(table, ip_version, &cursors, i))
				return GEO_DAMAGED;
		}
	}
}

void geo_spans_free(struct geo_spans *spans)
{
	free(spans->start);
	free(spans->combination);
	*spans = (struct geo_spans){0};
}

void geo_combinations_free(struct geo_combinations *all)
{
	free(all->id);
	free(all->slot);
	*all = (struct geo_combinations){0};
}
