/* SPDX-License-Identifier: Apache-2.0 */
/* Part of zone_check(): one reply image, walked record by record. */
#ifndef XDPKIT_ZONE_CHECK_IMAGE_H
#define XDPKIT_ZONE_CHECK_IMAGE_H

#include "zone/zone.h"

/* An arena and the bounds of its contents: after the table, before the slack. */
struct zone_extent {
	const struct zone_arena *arena;
	uint64_t first;
	uint64_t end;
};

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

#endif
