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

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "geo/generator.h"
#include "geo/table.h"

/* As many as SSE2 and NEON have in a vector. */
typedef int32_t lanes4 __attribute__((vector_size(16)));

/*
 * The first of `vectors` * 4 lanes that is set, all ones; those after it are, too.
 */
static inline __attribute__((always_inline)) uint32_t geo_lanes_first(const lanes4 *set,
								      uint32_t vectors)
{
#ifdef __SSE2__
	uint32_t bits = 0;

	/* Two bits a lane. */
	for (uint32_t n = 0; n < vectors; n += 2) {
		__m128i both = _mm_packs_epi32((__m128i)set[n], (__m128i)set[n + 1]);

		if (vectors == 2)
			return (uint32_t)__builtin_ctz(_mm_movemask_epi8(both)) / 2;
		/* One. */
		both = _mm_packs_epi16(both, _mm_setzero_si128());
		bits |= (uint32_t)_mm_movemask_epi8(both) << n * 4;
	}
	return (uint32_t)__builtin_ctz(bits);
#else
	int32_t lanes = 0;

	for (uint32_t n = 0; n < vectors; n++)
		for (uint32_t i = 0; i < 4; i++)
			lanes += set[n][i];
	return vectors * 4 + (uint32_t)lanes;
#endif
}

/* Draws `need` slots of `vectors` * 4 lanes. */
static inline __attribute__((always_inline)) void geo_draw_lanes(const int32_t *sums,
								 uint32_t vectors, uint32_t total,
								 struct geo_generator *generator,
								 uint32_t *slot, uint32_t need)
{
	lanes4 sum[GEO_LANES_MAX / 4], above[GEO_LANES_MAX / 4];
	uint32_t left = total;

	memcpy(sum, sums + 1, vectors * sizeof *sum);
	for (uint32_t i = 0; i < need; i++) {
		const int32_t at = (int32_t)geo_generator_below(generator, left);
		const lanes4 number = {at, at, at, at};
		uint32_t index;
		lanes4 weight;
		int32_t drawn;

		for (uint32_t n = 0; n < vectors; n++)
			above[n] = (lanes4)(sum[n] > number);
		index = geo_lanes_first(above, vectors);
		drawn = sums[index + 1] - sums[index];
		weight = (lanes4){drawn, drawn, drawn, drawn};
		for (uint32_t n = 0; n < vectors; n++)
			sum[n] -= above[n] & weight;
		left -= (uint32_t)drawn;
		slot[i] = index;
	}
}

/* With more than 8 lanes: a separate function, so that those with few need fewer registers. */
static __attribute__((noinline)) void geo_draw_longer(const struct geo_table *table,
						      const int32_t *sums,
						      struct geo_generator *generator,
						      uint32_t *slot, uint32_t need)
{
	struct geo_generator own = *generator;
	uint32_t total = (uint32_t)table->total;

	if (geo_lanes(table->weighted) == 16)
		geo_draw_lanes(sums, 4, total, &own, slot, need);
	else
		geo_draw_lanes(sums, 8, total, &own, slot, need);
	*generator = own;
}

/* Draws `need` slots that differ, of those with a weight, each by its share of what is left. */
static inline __attribute__((always_inline)) void geo_draw_short(const struct geo_table *table,
								 const int32_t *sums,
								 struct geo_generator *generator,
								 uint32_t *slot, uint32_t need)
{
	struct geo_generator own = *generator;

	if (table->weighted > GEO_LANES_MIN) {
		geo_draw_longer(table, sums, generator, slot, need);
		return;
	}
	geo_draw_lanes(sums, GEO_LANES_MIN / 4, (uint32_t)table->total, &own, slot, need);
	*generator = own;
}

#endif
