/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a GeoDNS zone's arena (zone/zone.h) has beside its images: for a name and a type, what each
 * class of clients gets. Which class an address is in, geo/view.h tells; which records are drawn,
 * and what health leaves of them, is in the zone's selection (geo/selection.h), which is made again
 * when a status changes: nothing here is.
 *
 * Offsets are those of an arena, in units of ZONE_UNIT bytes; 0 means "none". Host order, except
 * inside records, which are wire format with their owner as a pointer to the question's name.
 *
 *   geo_zone -> geo_draw[draws], geo_variant[variants], status names
 *   a zone_type with ZONE_TYPE_CHOICE -> geo_choice, which stands in the place of an image
 *
 * The variants that a step leads to have smaller indexes than its own: no circle is possible.
 *
 * The images here may be those of many names: each is made for a question with the zone's name or
 * a shorter one (`base`), and one whose first record is a CNAME is an alias that is followed.
 */
#ifndef XDPKIT_GEO_CHOICE_H
#define XDPKIT_GEO_CHOICE_H

#include <stdint.h>

/* The classes of a view: struct geo_choice has 16 bits for one. */
#define GEO_CLASSES_MAX 65535

#define GEO_VIEW_ID_BYTES 16

/* What the arena's header points to. */
struct geo_zone {
	uint8_t view[GEO_VIEW_ID_BYTES]; /* the view that the classes are of; zeros: there are none
					  */
	uint32_t classes;                /* of it */
	uint32_t draws;
	uint32_t draw; /* struct geo_draw[draws] */
	uint32_t variants;
	uint32_t variant;  /* struct geo_variant[variants] */
	uint32_t statuses; /* names of statuses, FILE/KEY, each with its NUL, one after another */
	uint32_t status;
	uint32_t spare;
};

/*
 * A name's and type's variants, by class. With one variant the answer depends on no client; else
 * uint16_t variant_of[classes] follows, indexes of the zone's variants relative to `first`.
 */
struct geo_choice {
	uint32_t fallback; /* struct zone_image: when the variant yields nothing */
	uint32_t first;    /* index of struct geo_variant */
	uint16_t variants;
	uint16_t spare[3];
};

/* Records of one type, of which an answer has some. */
struct geo_draw {
	uint32_t count;  /* at least 1 */
	uint32_t record; /* their bytes, one after another */
	uint32_t size;   /* of each; 0: uint32_t ends[count] at `ends` has where each ends */
	uint32_t ends;
	uint32_t weight; /* uint32_t[count]; 0: all have 1 */
	uint32_t status; /* uint32_t[count]: 1 + index of its status, 0: it is always healthy; or 0
			  */
	uint16_t hosts;  /* most in an answer; GEO_ALL: all, in their order */
	uint16_t type;
	uint32_t spare;
};

#define GEO_ALL 0xffff

/*
 * Most records that are drawn for an answer: each is compared with those before it. So many take
 * some microseconds, and 4 KiB (IPv6: 7 KiB), and no client tries more servers.
 */
#define GEO_HOSTS_MAX 255

/* The steps of a class, the most specific target's first: the first that yields is the answer. */
struct geo_variant {
	uint32_t step; /* struct geo_step[steps] */
	uint32_t steps;
};

enum geo_kind {
	GEO_DRAW,     /* `at`: index of struct geo_draw; count is 1 */
	GEO_IMAGES,   /* one of struct geo_option, `to` is a struct zone_image */
	GEO_VARIANTS, /* one of struct geo_option, `to` is the index of a struct geo_variant */
};

struct geo_step {
	uint32_t kind;
	uint32_t count; /* of options */
	uint32_t at;    /* struct geo_option[count], or an index */
	uint32_t spare;
};

struct geo_option {
	uint32_t weight; /* if all that are left have 0, each counts as 1 */
	uint32_t status; /* as in struct geo_draw; of a variant 0 */
	uint32_t to;
	uint32_t spare;
};

#endif
