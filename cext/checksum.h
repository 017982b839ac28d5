/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Internet checksum (RFC 1071), summed in host order: byte order does not matter to a
 * ones'-complement sum as long as the result is stored the way the words were loaded.
 */
#ifndef XDPKIT_CHECKSUM_H
#define XDPKIT_CHECKSUM_H

#include <stdint.h>
#include <string.h>

/* Adds one 64-bit word with end-around carry. */
static inline uint64_t checksum_word(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word);
}

/* Adds `length` bytes; a range of odd length must be the last one added. */
static inline uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, uint32_t length)
{
	uint64_t word = 0;

	while (length >= sizeof word) {
		memcpy(&word, bytes, sizeof word);
		sum = checksum_word(sum, word);
		bytes += sizeof word;
		length -= sizeof word;
	}
	word = 0;
	if (length & 4) {
		uint32_t part;
		memcpy(&part, bytes, sizeof part);
		sum = checksum_word(sum, part);
		bytes += sizeof part;
	}
	if (length & 2) {
		uint16_t part;
		memcpy(&part, bytes, sizeof part);
		sum = checksum_word(sum, part);
		bytes += sizeof part;
	}
	/* RFC 1071 section 4.1: an odd last byte counts as the first half of a word (little-endian: low). */
	return length & 1 ? checksum_word(sum, *bytes) : sum;
}

/* The 16-bit sum, not complemented. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The value of a UDP checksum field, in host order: a computed zero is sent as ffff (RFC 768). */
static inline uint16_t checksum_udp(uint64_t sum)
{
	uint16_t check = (uint16_t)~checksum_fold(sum);
	return check ? check : 0xffff;
}

#endif
