/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Internet checksum (RFC 1071), summed in host order: byte order does not matter to a
 * ones'-complement sum as long as the result is stored the way the words were loaded.
 *
 * A sum is a 64-bit ones'-complement number: a carry out of the top comes back in as one, as 2^64
 * is 1 modulo 2^16 - 1. It is 0 only if every byte was.
 */
#ifndef XDPKIT_CHECKSUM_H
#define XDPKIT_CHECKSUM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

/*
 * A chain of additions, each with the carry of the one before: gcc 12 makes none of plain C, and of
 * the intrinsics one that goes through memory. Sanitizers do not see what assembly reads, so they
 * get the plain C.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHECKSUM_PLAIN
#endif
#endif
#if !defined(__x86_64__) || defined(__SANITIZE_ADDRESS__)
#define CHECKSUM_PLAIN
#endif

/* Adds a word, of eight bytes or fewer: an add and an add-with-carry. */
static inline uint64_t checksum_word(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word);
}

/* Adds two of them. */
static inline uint64_t checksum_two(uint64_t sum, uint64_t first, uint64_t second)
{
#ifdef CHECKSUM_PLAIN
	return checksum_word(checksum_word(sum, first), second);
#else
	__asm__("addq %1, %0; adcq %2, %0; adcq $0, %0" : "+r"(sum) : "r"(first), "r"(second));
	return sum;
#endif
}

/* Bytes as the operand of an instruction. */
typedef uint64_t __attribute__((aligned(1), may_alias)) checksum_bytes;

/* Adds 16 bytes. */
static inline uint64_t checksum_16(uint64_t sum, const uint8_t *bytes)
{
#ifdef CHECKSUM_PLAIN
	return checksum_two(sum, load_u64(bytes), load_u64(bytes + 8));
#else
	const checksum_bytes *word = (const checksum_bytes *)bytes;

	__asm__("addq %1, %0; adcq %2, %0; adcq $0, %0" : "+r"(sum) : "m"(word[0]), "m"(word[1]));
	return sum;
#endif
}

/* Adds 32 bytes. */
static inline uint64_t checksum_32(uint64_t sum, const uint8_t *bytes)
{
#ifdef CHECKSUM_PLAIN
	return checksum_16(checksum_16(sum, bytes), bytes + 16);
#else
	const checksum_bytes *word = (const checksum_bytes *)bytes;

	__asm__("addq %1, %0; adcq %2, %0; adcq %3, %0; adcq %4, %0; adcq $0, %0"
		: "+r"(sum)
		: "m"(word[0]), "m"(word[1]), "m"(word[2]), "m"(word[3]));
	return sum;
#endif
}

/*
 * Adds `length` bytes; only the last range added may have an odd length (RFC 1071 section 4.1: its
 * last byte is a word's first half, little-endian the low one). If they are fewer than 8, the 8
 * bytes before them must be readable, too.
 */
static inline uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, uint32_t length)
{
	const uint8_t *end = bytes + length;

	for (; end - bytes >= 32; bytes += 32)
		sum = checksum_32(sum, bytes);
	if (length & 16) {
		sum = checksum_16(sum, bytes);
		bytes += 16;
	}
	if (length & 8) {
		sum = checksum_word(sum, load_u64(bytes));
		bytes += 8;
	}
	/* The rest as the top of a word, without the bytes before it. */
	if (length & 7)
		sum = checksum_word(sum, load_u64(end - 8) >> (64 - 8 * (length & 7)));
	return sum;
}

/* The 16-bit sum, not complemented: adding a rotated copy folds with an end-around carry. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	uint32_t half = (uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32);

	return (uint16_t)((half + (half << 16 | half >> 16)) >> 16);
}

/*
 * Whether a sum over data and its checksum folds to ffff: whether it is a multiple of 2^16 - 1. The
 * multiples of an odd number are what its inverse modulo 2^64 takes to at most (2^64 - 1) / it.
 */
static inline bool checksum_is_right(uint64_t sum)
{
	return sum * 0xfffefffefffeffffull <= UINT64_MAX / 0xffff;
}

/* The value of a UDP checksum field, in host order: a computed zero is sent as ffff (RFC 768). */
static inline uint16_t checksum_udp(uint64_t sum)
{
	uint16_t check = (uint16_t)~checksum_fold(sum);
	return check ? check : 0xffff;
}

#endif
