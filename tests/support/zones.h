/* SPDX-License-Identifier: Apache-2.0 */
/* For C tests: the directory of arenas that stand one after another, each 64-byte aligned. */
#ifndef XDPKIT_TESTS_ZONES_H
#define XDPKIT_TESTS_ZONES_H

#include <stdlib.h>
#include <string.h>

#include "zone/directory.h"

static inline const uint8_t *zone_name_of(const struct zone_arena *arena)
{
	const struct zone_node *apex = zone_at(arena, arena->apex);

	return (const uint8_t *)(apex + 1) + apex->type_count * sizeof(struct zone_type);
}

static inline uint32_t zone_name_length(const struct zone_arena *arena)
{
	return ((const struct zone_node *)zone_at(arena, arena->apex))->name_length;
}

/* The caller frees it; NULL if one of the arenas is not of this version. */
static inline struct zone_directory *directory_of(const uint8_t *arenas, size_t size)
{
	struct zone_directory *directory;
	size_t zones = 0, at, all;
	uint32_t count = 0, names = 0;

	for (at = 0; at < size;
	     at += (((const struct zone_arena *)(arenas + at))->size + 63) & ~63) {
		const struct zone_arena *arena = (const struct zone_arena *)(arenas + at);

		if (zone_open(arena, arena->size))
			return NULL;
		count++;
		zones += zone_served_size(zone_name_length(arena));
		names += zone_index_names(arena);
	}
	all = zone_directory_size(count, zones, names);
	directory = aligned_alloc(64, all);
	if (!directory)
		return NULL;
	memset(directory, 0, all);
	zone_directory_begin(directory, count, names, 1);
	for (at = 0; at < size;
	     at += (((const struct zone_arena *)(arenas + at))->size + 63) & ~63) {
		const struct zone_arena *arena = (const struct zone_arena *)(arenas + at);

		zone_directory_add(directory, zone_name_of(arena), zone_name_length(arena), arena,
				   NULL);
	}
	zone_directory_end(directory);
	return directory;
}

#endif
