/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a GeoDNS zone answers as long as no status changes: for each variant of the arena
 * (geo/choice.h) the first step that yields, and tables of what is healthy to draw from. One block,
 * made anew from the arena when a status changes, in time and memory linear in what the arena has;
 * the arena's images are referred to by their offsets, its records are copied.
 *
 *   geo_selection | geo_entry[variants] | geo_table[draws], geo_table[] of options | their slots
 *
 * Threads: immutable once it is built; any number may read.
 */
#ifndef XDPKIT_GEO_SELECTION_H
#define XDPKIT_GEO_SELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "geo/choice.h"
#include "geo/table.h"
#include "zone/zone.h"

#define GEO_SELECTION_ALIGN 64

/* Aliases with weights that lead to such: each costs an answer a draw. */
#define GEO_DEPTH_MAX 32

/* The state of a status, as in status files. All but this one are unhealthy. */
#define GEO_HEALTHY 2

enum geo_entry_kind {
	GEO_ENTRY_NOTHING,  /* the choice's fallback is the answer */
	GEO_ENTRY_RECORDS,  /* `at`: a table, of which some are drawn */
	GEO_ENTRY_IMAGE,    /* `at`: offset of a struct zone_image in the arena */
	GEO_ENTRY_IMAGES,   /* `at`: a table of such offsets, of which one is drawn */
	GEO_ENTRY_VARIANTS, /* `at`: a table of entries' indexes, of which one is drawn */
};

struct geo_entry {
	uint8_t kind;
	uint8_t unhealthy; /* nothing is healthy, and health is ignored */
	uint8_t depth;     /* draws of options at most, whatever is healthy */
	uint8_t spare;
	uint32_t at;
};

struct geo_selection {
	uint64_t size;    /* bytes that are used */
	uint32_t entries; /* as the arena has variants */
	uint32_t draws;   /* as the arena has; their tables are the first ones */
	uint64_t table;   /* bytes from the start */
	uint8_t spare[40];
};

_Static_assert(sizeof(struct geo_selection) == 64, "tables begin cache lines");

/* Bytes that a selection of this arena, which is checked and has `geo`, takes at most. */
size_t geo_selection_size(const struct zone_arena *arena);

/*
 * Builds it in `size` bytes at `base`, aligned to GEO_SELECTION_ALIGN. `states` has the state of
 * each of the arena's statuses. If nothing is left of a variant because nothing is healthy, with
 * `answer_all_unhealthy` health is ignored for it. -1 if aliases with weights are nested deeper
 * than GEO_DEPTH_MAX, whatever the states are.
 */
int geo_selection_build(void *base, const struct zone_arena *arena, const uint8_t *states,
			bool answer_all_unhealthy);

static inline const struct geo_zone *geo_zone_of(const struct zone_arena *arena)
{
	return zone_at(arena, arena->geo);
}

static inline const struct geo_entry *geo_entries(const struct geo_selection *selection)
{
	return (const struct geo_entry *)(selection + 1);
}

static inline const struct geo_table *geo_table_at(const struct geo_selection *selection,
						   uint32_t index)
{
	return (const struct geo_table *)((const char *)selection + selection->table) + index;
}

/* The entry of what this choice has for a class; that of class 0 for one that is not the view's. */
static inline uint32_t geo_entry_of(const struct geo_zone *zone, const struct geo_choice *choice,
				    uint32_t class)
{
	const uint16_t *variant_of = (const uint16_t *)(choice + 1);
	uint32_t variant = 0;

	if (choice->variants > 1)
		variant = variant_of[class < zone->classes ? class : 0];
	return choice->first + (variant < choice->variants ? variant : 0);
}

#endif
