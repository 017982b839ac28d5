/* SPDX-License-Identifier: Apache-2.0 */
/* The tags of a hash table's line, compared all at once: which one matches is unpredictable. */
#ifndef XDPKIT_TAGS_H
#define XDPKIT_TAGS_H

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Tags per comparison: the four words of an SSE2 register. */
#define TAGS 4

/* Which of the TAGS tags, 16-byte aligned, equal `wanted`: one bit each. */
static inline uint32_t tags_equal(const uint32_t *tags, uint32_t wanted)
{
#ifdef __SSE2__
	__m128i same = _mm_cmpeq_epi32(*(const __m128i *)tags, _mm_set1_epi32((int)wanted));

	return (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(same));
#else
	uint32_t found = 0;

	for (uint32_t i = 0; i < TAGS; i++)
		found |= (uint32_t)(tags[i] == wanted) << i;
	return found;
#endif
}

/* The same for eight tags of 16 bits. */
static inline uint32_t tags16_equal(const uint16_t *tags, uint16_t wanted)
{
#ifdef __SSE2__
	__m128i same = _mm_cmpeq_epi16(*(const __m128i *)tags, _mm_set1_epi16((short)wanted));

	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(same, _mm_setzero_si128()));
#else
	uint32_t found = 0;

	for (uint32_t i = 0; i < 8; i++)
		found |= (uint32_t)(tags[i] == wanted) << i;
	return found;
#endif
}

#endif
