/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of zone_check(): bounds, and one reply image, walked record by record. */
#ifndef XDPKIT_ZONE_CHECK_IMAGE_H
#define XDPKIT_ZONE_CHECK_IMAGE_H

#include "zone/zone.h"

struct zone_extent;

/* Whether what stands in the place of an image (ZONE_TYPE_CHOICE) is sound: geo/check.c has it. */
typedef bool zone_check_choice(const struct zone_extent *check, uint32_t offset);

/* An arena and the bounds of its contents: after the table, before the slack. */
struct zone_extent {
	const struct zone_arena *arena;
	uint64_t first;
	uint64_t end;
	zone_check_choice *choice;
};

/* The bounds of an arena that zone_open() accepts. */
static inline void zone_check_extent(struct zone_extent *check)
{
	check->first = sizeof *check->arena + check->arena->buckets * sizeof(struct zone_bucket);
	check->end = check->arena->size - ZONE_SLACK;
}

/* A pointer to an offset if `bytes` bytes fit there, else NULL. */
static inline const void *zone_check_within(const struct zone_extent *check, uint32_t offset,
					    uint64_t bytes)
{
	uint64_t at = (uint64_t)offset * ZONE_UNIT;

	return at >= check->first && at + bytes <= check->end ? zone_at(check->arena, offset)
							      : NULL;
}

/* The image at an offset if it, its records and its fixups are sound, else NULL. */
const struct zone_image *zone_check_image(const struct zone_extent *check, uint32_t offset);

/*
 * Whether both the image for a question without DO and the one with DO are sound, made for a
 * question's name of at most `base` bytes, and, with `type` CNAME or DNAME, redirect by it; 0: any.
 */
bool zone_check_answer(const struct zone_extent *check, uint32_t offset, uint32_t base,
		       uint16_t type);

#endif
