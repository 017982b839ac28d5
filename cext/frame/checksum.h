/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Internet checksum (RFC 1071), summed in host order: byte order does not matter to a
 * ones'-complement sum as long as the result is stored the way the words were loaded.
 */
#ifndef XDPKIT_CHECKSUM_H
#define XDPKIT_CHECKSUM_H

#include <stdint.h>
#include <string.h>

/*
 * Adds eight bytes as two 32-bit words into the wide sum: without an end-around carry, so that the
 * additions of several words do not wait for each other. A sum has room for 2^31 such words.
 */
static inline uint64_t checksum_word(uint64_t sum, uint64_t word)
{
	return sum + (uint32_t)word + (word >> 32);
}

/* Adds eight bytes to a 64-bit sum and counts its carries: an add and an add-with-carry. */
static inline void checksum_carry(uint64_t *sum, uint64_t *carries, const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof word);
	*carries += __builtin_add_overflow(*sum, word, sum);
}

/* Adds `length` bytes; only the last range added may have an odd length. */
static inline uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, uint32_t length)
{
	/* A carry out of 64 bits is worth one: 2^64 is 1 modulo 2^16 - 1. */
	uint64_t wide = 0, carries = 0;

	for (; length >= 32; length -= 32, bytes += 32) {
		checksum_carry(&wide, &carries, bytes);
		checksum_carry(&wide, &carries, bytes + 8);
		checksum_carry(&wide, &carries, bytes + 16);
		checksum_carry(&wide, &carries, bytes + 24);
	}
	if (length & 16) {
		checksum_carry(&wide, &carries, bytes);
		checksum_carry(&wide, &carries, bytes + 8);
		bytes += 16;
	}
	if (length & 8) {
		checksum_carry(&wide, &carries, bytes);
		bytes += 8;
	}
	sum = checksum_word(sum, wide) + carries;
	if (length & 4) {
		uint32_t part;
		memcpy(&part, bytes, sizeof part);
		sum += part;
		bytes += sizeof part;
	}
	if (length & 2) {
		uint16_t part;
		memcpy(&part, bytes, sizeof part);
		sum += part;
		bytes += sizeof part;
	}
	/* RFC 1071 section 4.1: an odd last byte is a word's first (little-endian: low) half. */
	return length & 1 ? sum + *bytes : sum;
}

/* The 16-bit sum, not complemented: adding a rotated copy folds with an end-around carry. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	uint32_t half = (uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32);

	return (uint16_t)((half + (half << 16 | half >> 16)) >> 16);
}

/* The value of a UDP checksum field, in host order: a computed zero is sent as ffff (RFC 768). */
static inline uint16_t checksum_udp(uint64_t sum)
{
	uint16_t check = (uint16_t)~checksum_fold(sum);
	return check ? check : 0xffff;
}

#endif
