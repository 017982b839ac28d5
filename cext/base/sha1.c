// SPDX-License-Identifier: Apache-2.0
#include "base/sha1.h"

#include <string.h>

#include "base/bytes.h"

#define BLOCK 64 /* bytes, FIPS 180-4 section 5.2.1 */

static inline uint32_t rotl(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

/* One step of section 6.1.2; callers rotate the names of the five words, not their values. */
#define STEP(a, b, c, d, e, f, k, i)                                                \
	do {                                                                        \
		if ((i) >= 16)                                                      \
			w[(i) & 15] = rotl(w[((i) + 13) & 15] ^ w[((i) + 8) & 15] ^ \
						   w[((i) + 2) & 15] ^ w[(i) & 15], \
					   1);                                      \
		(e) += rotl(a, 5) + (f) + (k) + w[(i) & 15];                        \
		(b) = rotl(b, 30);                                                  \
	} while (0)

#define CHOOSE(b, c, d)   ((d) ^ ((b) & ((c) ^ (d))))
#define PARITY(b, c, d)   ((b) ^ (c) ^ (d))
#define MAJORITY(b, c, d) (((b) & (c)) | ((d) & ((b) | (c))))

#define FIVE(f, k, i)                                        \
	do {                                                 \
		STEP(a, b, c, d, e, f(b, c, d), k, (i));     \
		STEP(e, a, b, c, d, f(a, b, c), k, (i) + 1); \
		STEP(d, e, a, b, c, f(e, a, b), k, (i) + 2); \
		STEP(c, d, e, a, b, f(d, e, a), k, (i) + 3); \
		STEP(b, c, d, e, a, f(c, d, e), k, (i) + 4); \
	} while (0)

/* Constants: section 4.2.1. */
static void add_block(uint32_t h[5], const uint8_t *block)
{
	uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], w[16];

	for (int i = 0; i < 16; i++)
		w[i] = load_be32(block + i * 4);
	FIVE(CHOOSE, 0x5a827999, 0);
	FIVE(CHOOSE, 0x5a827999, 5);
	FIVE(CHOOSE, 0x5a827999, 10);
	FIVE(CHOOSE, 0x5a827999, 15);
	FIVE(PARITY, 0x6ed9eba1, 20);
	FIVE(PARITY, 0x6ed9eba1, 25);
	FIVE(PARITY, 0x6ed9eba1, 30);
	FIVE(PARITY, 0x6ed9eba1, 35);
	FIVE(MAJORITY, 0x8f1bbcdc, 40);
	FIVE(MAJORITY, 0x8f1bbcdc, 45);
	FIVE(MAJORITY, 0x8f1bbcdc, 50);
	FIVE(MAJORITY, 0x8f1bbcdc, 55);
	FIVE(PARITY, 0xca62c1d6, 60);
	FIVE(PARITY, 0xca62c1d6, 65);
	FIVE(PARITY, 0xca62c1d6, 70);
	FIVE(PARITY, 0xca62c1d6, 75);
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

void sha1(const uint8_t *data, size_t length, uint8_t digest[SHA1_SIZE])
{
	/* Section 5.3.1. */
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	uint8_t last[2 * BLOCK] = {0};
	size_t rest = length % BLOCK, padded = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;

	for (size_t at = 0; at + BLOCK <= length; at += BLOCK)
		add_block(h, data + at);
	/* Section 5.1.1: a one bit, zeros, and the length in bits. */
	memcpy(last, data + length - rest, rest);
	last[rest] = 0x80;
	store_be64(last + padded - 8, (uint64_t)length * 8);
	for (size_t at = 0; at < padded; at += BLOCK)
		add_block(h, last + at);
	for (int i = 0; i < 5; i++)
		store_be32(digest + i * 4, h[i]);
}
