// SPDX-License-Identifier: Apache-2.0
#include "geo/check.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "dns/rdata.h"
#include "dns/wire.h"
#include "geo/choice.h"
#include "zone/check.h"

#define OWNER 2 /* bytes: a pointer */

/*
 * What variants and draws may refer to in all, where they share it: so much for each byte of the
 * arena, or this much if it is small. Without a bound a small arena could take a large selection.
 */
#define SHARED_MIN      (1u << 20)
#define SHARED_PER_BYTE 4

/* A status is a string of Python's, too, and is looked up by name. */
#define STATUS_COSTS 32

/* A check under way, and what is left of that. */
struct geo_checking {
	const struct zone_extent *extent;
	const struct geo_zone *zone;
	uint64_t left;
};

/* Takes so many bytes from what is left. */
static bool affords(struct geo_checking *check, uint64_t bytes)
{
	if (bytes > check->left)
		return false;
	check->left -= bytes;
	return true;
}

static const struct geo_zone *zone_in(const struct zone_extent *extent)
{
	return extent->arena->geo
		       ? zone_check_within(extent, extent->arena->geo, sizeof(struct geo_zone))
		       : NULL;
}

/* -------------------------------------------------------------------------------------------- */

/* The names that are in the RDATA of a type, uncompressed. */
static bool names_are_whole(const uint8_t *data, uint32_t length, uint16_t type)
{
	uint32_t at, names;

	dns_names_of_type(type, &at, &names);
	if (at > length)
		return false;
	while (names--) {
		uint32_t name = zone_wire_name_length(data + at, length - at);

		if (!name)
			return false;
		at += name;
	}
	return true;
}

/* A record of `size` bytes that begins with a pointer to the question's name. */
static bool record_is_sound(const struct geo_draw *draw, const uint8_t *record, uint32_t size)
{
	uint32_t length = size - OWNER - RR_FIXED;

	return load_be16(record) == (POINTER | HEADER_SIZE) &&
	       load_be16(record + OWNER) == draw->type &&
	       load_be16(record + OWNER + RR_FIXED - 2) == length &&
	       names_are_whole(record + OWNER + RR_FIXED, length, draw->type);
}

/* Records of the same size also have the same TTL: one header is all of theirs. */
static bool records_are_sound(const struct zone_extent *extent, const struct geo_draw *draw)
{
	const uint8_t *record =
		zone_check_within(extent, draw->record, (uint64_t)draw->count * draw->size);

	/* A slot of them has at least a byte, and its stride 16 bits. */
	if (!record || draw->size <= OWNER + RR_FIXED || draw->size > UINT16_MAX - 7)
		return false;
	for (uint32_t i = 0; i < draw->count; i++) {
		const uint8_t *at = record + (uint64_t)i * draw->size;

		if (!record_is_sound(draw, at, draw->size) ||
		    memcmp(at, record, OWNER + RR_FIXED) != 0)
			return false;
	}
	return true;
}

static bool records_of_any_size_are_sound(const struct zone_extent *extent,
					  const struct geo_draw *draw)
{
	const uint32_t *ends =
		zone_check_within(extent, draw->ends, (uint64_t)draw->count * sizeof *ends);
	const uint8_t *record;
	uint32_t at = 0;

	if (!ends)
		return false;
	record = zone_check_within(extent, draw->record, ends[draw->count - 1]);
	for (uint32_t i = 0; record && i < draw->count; at = ends[i++])
		if (ends[i] < at || ends[i] > ends[draw->count - 1] ||
		    ends[i] - at < OWNER + RR_FIXED || ends[i] - at > UINT16_MAX ||
		    !record_is_sound(draw, record + at, ends[i] - at))
			return false;
	return record;
}

static bool statuses_are_sound(const struct geo_checking *check, const uint32_t *status,
			       uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (status[i] > check->zone->statuses)
			return false;
	return true;
}

static bool draw_is_sound(struct geo_checking *check, const struct geo_draw *draw)
{
	uint64_t words = (uint64_t)draw->count * sizeof(uint32_t), bytes;
	const uint32_t *status, *ends;

	if (!draw->count || !draw->hosts || (draw->hosts > GEO_HOSTS_MAX && draw->hosts != GEO_ALL))
		return false;
	if (draw->size ? !records_are_sound(check->extent, draw)
		       : !records_of_any_size_are_sound(check->extent, draw))
		return false;
	ends = zone_at(check->extent->arena, draw->ends);
	bytes = draw->size ? (uint64_t)draw->count * draw->size : ends[draw->count - 1] + words;
	/* Weights are summed up in 64 bits. */
	if (!affords(check, bytes) ||
	    (draw->weight && !zone_check_within(check->extent, draw->weight, words)))
		return false;
	if (!draw->status)
		return true;
	status = zone_check_within(check->extent, draw->status, words);
	return status && statuses_are_sound(check, status, draw->count);
}

/* -------------------------------------------------------------------------------------------- */

#define WILDCARD_BYTES 2 /* the label "*" */

/* Of any name in the zone, made as for a wildcard below its apex. */
static bool image_is_sound(struct geo_checking *check, uint32_t offset)
{
	const struct zone_arena *arena = check->extent->arena;
	const struct zone_node *apex = zone_at(arena, arena->apex);
	const struct zone_image *image, *secure;

	if (offset == arena->nodata)
		return true;
	if (offset == arena->nxdomain ||
	    !zone_check_answer(check->extent, offset, apex->name_length + WILDCARD_BYTES, 0))
		return false;
	image = zone_at(arena, offset);
	secure = zone_at(arena, image->secure);
	/* A referral is that of a name at or below the question's: no choice has one. */
	return image->kind != ZONE_KIND_REFERRAL && affords(check, image->length) &&
	       (!image->secure || affords(check, secure->length));
}

static bool options_are_sound(struct geo_checking *check, const struct geo_step *step,
			      uint32_t variant)
{
	uint64_t size = (uint64_t)step->count * sizeof(struct geo_option);
	const struct geo_option *option;

	option = zone_check_within(check->extent, step->at, size);
	if (!option || !affords(check, size))
		return false;
	for (uint32_t i = 0; i < step->count; i++) {
		if (option[i].status > check->zone->statuses)
			return false;
		if (step->kind == GEO_VARIANTS ? option[i].to >= variant
					       : !image_is_sound(check, option[i].to))
			return false;
	}
	return true;
}

static bool step_is_sound(struct geo_checking *check, const struct geo_step *step, uint32_t variant)
{
	switch (step->kind) {
	case GEO_DRAW:
		return step->at < check->zone->draws;
	case GEO_IMAGES:
	case GEO_VARIANTS:
		return options_are_sound(check, step, variant);
	default:
		return false;
	}
}

static bool variant_is_sound(struct geo_checking *check, const struct geo_variant *variant,
			     uint32_t index)
{
	uint64_t size = (uint64_t)variant->steps * sizeof(struct geo_step);
	const struct geo_step *step;

	if (!variant->steps)
		return true;
	step = zone_check_within(check->extent, variant->step, size);
	if (!step || !affords(check, size))
		return false;
	for (uint32_t i = 0; i < variant->steps; i++)
		if (!step_is_sound(check, &step[i], index))
			return false;
	return true;
}

/* -------------------------------------------------------------------------------------------- */

/* As many names, none empty, each with its NUL. */
static bool status_names_are_whole(const struct zone_extent *extent, const struct geo_zone *zone)
{
	const char *name, *end;

	if (!zone->statuses)
		return true;
	name = zone_check_within(extent, zone->status, zone->statuses);
	if (!name)
		return false;
	end = (const char *)extent->arena + extent->end;
	for (uint32_t i = 0; i < zone->statuses; i++) {
		if (name == end || !*name)
			return false;
		name = memchr(name, 0, (size_t)(end - name));
		if (!name)
			return false;
		name++;
	}
	return true;
}

/* The tables that choices refer to. */
static bool zone_is_sound(const struct zone_extent *extent)
{
	const struct geo_zone *zone = zone_in(extent);
	struct geo_checking check = {.extent = extent, .zone = zone};
	const struct geo_variant *variant;
	const struct geo_draw *draw;

	check.left = extent->end * SHARED_PER_BYTE;
	if (check.left < SHARED_MIN)
		check.left = SHARED_MIN;
	if (!zone || zone->classes > GEO_CLASSES_MAX || !status_names_are_whole(extent, zone) ||
	    !affords(&check, (uint64_t)zone->statuses * STATUS_COSTS))
		return false;
	draw = zone_check_within(extent, zone->draw, (uint64_t)zone->draws * sizeof *draw);
	variant = zone_check_within(extent, zone->variant,
				    (uint64_t)zone->variants * sizeof *variant);
	if ((zone->draws && !draw) || (zone->variants && !variant))
		return false;
	for (uint32_t i = 0; i < zone->draws; i++)
		if (!draw_is_sound(&check, &draw[i]))
			return false;
	for (uint32_t i = 0; i < zone->variants; i++)
		if (!variant_is_sound(&check, &variant[i], i))
			return false;
	return true;
}

/*
 * A choice's variants are the zone's. Which of them a class has is checked when it is looked up
 * (geo_entry_of()): many names can have the same choice.
 */
static bool choice_is_sound(const struct zone_extent *extent, uint32_t offset)
{
	const struct zone_arena *arena = extent->arena;
	const struct zone_node *apex = zone_at(arena, arena->apex);
	const struct geo_choice *choice = zone_check_within(extent, offset, sizeof *choice);
	const struct geo_zone *zone = zone_in(extent);

	if (!choice || !zone || !choice->variants ||
	    (uint64_t)choice->first + choice->variants > zone->variants)
		return false;
	if (choice->variants > 1 &&
	    (!zone->classes ||
	     !zone_check_within(extent, offset,
				sizeof *choice + (uint64_t)zone->classes * sizeof(uint16_t))))
		return false;
	return choice->fallback == arena->nodata ||
	       (choice->fallback != arena->nxdomain &&
		zone_check_answer(extent, choice->fallback, apex->name_length, 0));
}

int geo_check(const void *base, size_t size)
{
	struct zone_extent extent = {.arena = base, .choice = choice_is_sound};

	/* First the arena, whose apex and images the choices refer to. */
	if (zone_check(base, size, choice_is_sound) != 0)
		return -1;
	if (!extent.arena->geo)
		return 0;
	zone_check_extent(&extent);
	return zone_is_sound(&extent) ? 0 : -1;
}
