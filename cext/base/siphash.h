/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): a keyed hash of 64
 * bits that nobody can predict without the key. Its run time depends on the length only.
 */
#ifndef XDPKIT_SIPHASH_H
#define XDPKIT_SIPHASH_H

#include <stdint.h>

#define SIPHASH_KEY_BYTES 16

static inline uint64_t siphash_rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

/* SipRound, figure 2.1 of the paper. */
static inline void siphash_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = siphash_rotate(v[1], 13) ^ v[0];
	v[3] = siphash_rotate(v[3], 16) ^ v[2];
	v[0] = siphash_rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = siphash_rotate(v[1], 17) ^ v[2];
	v[3] = siphash_rotate(v[3], 21) ^ v[0];
	v[2] = siphash_rotate(v[2], 32);
}

static inline void siphash_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	siphash_round(v);
	siphash_round(v);
	v[0] ^= word;
}

/*
 * The hash of `count` whole words and `last`, which holds the 0 to 7 trailing bytes and, in its
 * most significant byte, the total length. Words, including the key's two, are little-endian, as
 * memcpy makes them (base/bytes.h).
 */
static inline uint64_t siphash24(const uint64_t key[2], const uint64_t *words, uint32_t count,
				 uint64_t last)
{
	/* "somepseudorandomlygeneratedbytes", section 2.1 of the paper. */
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575ull,
		key[1] ^ 0x646f72616e646f6dull,
		key[0] ^ 0x6c7967656e657261ull,
		key[1] ^ 0x7465646279746573ull,
	};

	for (uint32_t i = 0; i < count; i++)
		siphash_word(v, words[i]);
	siphash_word(v, last);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
