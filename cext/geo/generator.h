/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xoshiro256++ 1.0 (Blackman and Vigna 2019), in the public domain: fast, and without a flaw that a
 * test has found. Who sees many answers may predict the next: nothing secret depends on it.
 *
 * Threads: each has its own.
 */
#ifndef XDPKIT_GEO_GENERATOR_H
#define XDPKIT_GEO_GENERATOR_H

#include <stdint.h>

/*
 * At most half of the numbers are rejected, so this many in a row never are; but a state of zeros
 * makes nothing else, and must not take forever.
 */
#define GEO_REJECTIONS_MAX 128

/* All of it 0 gives 0 always. */
struct geo_generator {
	uint64_t state[4];
};

/* From one number, by splitmix64 as its authors advise: the same number, the same draws. */
static inline void geo_generator_seed(struct geo_generator *generator, uint64_t seed)
{
	for (uint32_t i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		generator->state[i] = z ^ z >> 31;
	}
}

static inline uint64_t geo_rotated(uint64_t x, uint32_t by)
{
	return x << by | x >> (64 - by);
}

/* 64 random bits. */
static inline uint64_t geo_generator_next(struct geo_generator *generator)
{
	uint64_t *s = generator->state;
	uint64_t result = geo_rotated(s[0] + s[3], 23) + s[0], t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = geo_rotated(s[3], 45);
	return result;
}

/* A number below `bound`, which is not 0, each as likely as the others (Lemire 2019). */
static inline uint64_t geo_generator_below(struct geo_generator *generator, uint64_t bound)
{
	unsigned __int128 product = (unsigned __int128)geo_generator_next(generator) * bound;

	if ((uint64_t)product < bound) {
		uint64_t rejected = -bound % bound;

		for (uint32_t n = GEO_REJECTIONS_MAX; n && (uint64_t)product < rejected; n--)
			product = (unsigned __int128)geo_generator_next(generator) * bound;
	}
	return (uint64_t)(product >> 64);
}

#endif
