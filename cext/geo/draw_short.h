/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Draws from a short table (geo/table.h), where what was drawn would often be drawn again: all sums
 * of weights are compared with a number at once, and the weight of what is drawn is taken off those
 * that include it. No branch depends on a number.
 */
#ifndef XDPKIT_GEO_DRAW_SHORT_H
#define XDPKIT_GEO_DRAW_SHORT_H

#include <stdint.h>
#include <string.h>

#include "geo/generator.h"
#include "geo/table.h"

/* As many as SSE2 and NEON have in a vector. */
typedef int32_t lanes4 __attribute__((vector_size(16)));

static inline int32_t geo_lanes_sum(lanes4 lanes)
{
	lanes += __builtin_shufflevector(lanes, lanes, 2, 3, 0, 1);
	lanes += __builtin_shufflevector(lanes, lanes, 1, 0, 3, 2);
	return lanes[0];
}

/* Draws `need` slots of `vectors` * 4 lanes. */
static inline __attribute__((always_inline)) void geo_draw_lanes(const int32_t *sums,
								 uint32_t vectors, uint32_t total,
								 struct geo_generator *generator,
								 uint32_t *slot, uint32_t need)
{
	lanes4 sum[GEO_LANES_MAX / 4];
	uint32_t left = total;

	memcpy(sum, sums + 1, vectors * sizeof *sum);
	for (uint32_t i = 0; i < need; i++) {
		const int32_t at = (int32_t)geo_generator_below(generator, left);
		const lanes4 number = {at, at, at, at};
		lanes4 below = {0}, weight;
		uint32_t index;
		int32_t drawn;

		/* True is -1. */
		for (uint32_t n = 0; n < vectors; n++)
			below -= (lanes4)(sum[n] <= number);
		index = (uint32_t)geo_lanes_sum(below);
		drawn = sums[index + 1] - sums[index];
		weight = (lanes4){drawn, drawn, drawn, drawn};
		for (uint32_t n = 0; n < vectors; n++)
			sum[n] -= (lanes4)(sum[n] > number) & weight;
		left -= (uint32_t)drawn;
		slot[i] = index;
	}
}

/* Draws `need` slots that differ, of those with a weight, each by its share of what is left. */
static inline void geo_draw_short(const struct geo_table *table, const int32_t *sums,
				  struct geo_generator *generator, uint32_t *slot, uint32_t need)
{
	struct geo_generator own = *generator;
	uint32_t total = (uint32_t)table->total;

	switch (geo_lanes(table->weighted)) {
	case 8:
		geo_draw_lanes(sums, 2, total, &own, slot, need);
		break;
	case 16:
		geo_draw_lanes(sums, 4, total, &own, slot, need);
		break;
	default:
		geo_draw_lanes(sums, 8, total, &own, slot, need);
		break;
	}
	*generator = own;
}

#endif
