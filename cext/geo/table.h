/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one draw is made from: an alias table (Walker 1977, as Vose 1991 builds it) in whole
 * numbers, so that a draw looks at one or two slots however many there are, and no weight is
 * rounded. A slot has what is drawn beside its weight: one cache line less for each.
 *
 *   geo_table -> slots: those with a weight, then those without
 *             -> uint64_t prefix[count + 1]: sums of the weights of the slots before each; those
 *                without one count as 1 each
 *             -> before that, in a short table: int32_t sums[1 + lanes], the same in vectors
 *
 * A part of a selection (geo/selection.h), immutable like that.
 */
#ifndef XDPKIT_GEO_TABLE_H
#define XDPKIT_GEO_TABLE_H

#include <stdint.h>

#define GEO_SLOT_DATA 12 /* where the data of a slot begin */

struct geo_slot {
	uint64_t keep;  /* of each `total` draws that come here, so many are its own ... */
	uint32_t other; /* ... and the others are this slot's */
	uint8_t data[]; /* what is drawn; see struct geo_table */
};

#define GEO_TABLE_ORDERED   1 /* all are the answer, in their order: nothing is drawn */
#define GEO_TABLE_WIDE      2 /* weighted * total does not fit 64 bits: two numbers a draw */
#define GEO_TABLE_UNHEALTHY 4 /* none of them is healthy */
#define GEO_TABLE_SHORT     8 /* few have a weight: their sums are in `sums`, too */

/*
 * So many sums are compared at once sooner than slots are drawn until they differ, which in a short
 * list takes long. What is left of the last lanes has the largest sum there is: it is never drawn.
 */
#define GEO_LANES_MAX 32
#define GEO_LANES_MIN 8

/*
 * A slot's data: the RDATA, all of the same length; or, with `length` 0, of a record of any length
 * a struct geo_record; or, in a table of options, what is chosen, 32 bits.
 */
struct geo_table {
	uint64_t total;    /* of the weights */
	uint64_t rejected; /* 2^64 modulo (weighted * total): what is below would favor some */
	uint64_t slots;    /* bytes from the selection's start */
	uint64_t prefix;   /* the same */
	uint32_t weighted; /* slots that have a weight, at least 1, or 0 if it is ordered */
	uint32_t count;    /* of slots; 0: nothing refers to it */
	uint32_t hosts;    /* records of an answer, at most `count` */
	uint16_t stride;   /* of the slots, bytes */
	uint16_t length;   /* of the RDATA */
	uint16_t least;    /* bytes of the shortest record in a message */
	uint8_t flags;
	uint8_t spare;
	uint8_t head[12]; /* owner, type, class, TTL and RDLENGTH, with `length` */
};

_Static_assert(sizeof(struct geo_table) == 64, "a cache line");

/* Where a record is, in bytes from the end of the table's slots. */
struct geo_record {
	uint32_t at;
	uint32_t length; /* with its owner, which is two bytes */
};

static inline struct geo_slot *geo_slot_at(void *slots, uint32_t stride, uint64_t index)
{
	return (struct geo_slot *)((uint8_t *)slots + index * stride);
}

/* How many lanes hold so many slots that have a weight. */
static inline uint32_t geo_lanes(uint32_t weighted)
{
	uint32_t lanes = GEO_LANES_MIN;

	while (lanes < weighted)
		lanes *= 2;
	return lanes;
}

/* Bytes of a short table's sums, which keep what follows aligned. */
static inline uint32_t geo_sums_size(uint32_t weighted)
{
	return (geo_lanes(weighted) + 2) * (uint32_t)sizeof(int32_t);
}

/*
 * Makes the slots draw by weight. `prefix` is filled, and so are `weighted`, `stride` and `total`.
 */
void geo_table_weigh(struct geo_table *table, void *slots, const uint64_t *prefix);

#endif
