/* SPDX-License-Identifier: Apache-2.0 */
/* The hashes of names, addresses and numbers. */
#ifndef XDPKIT_HASH_H
#define XDPKIT_HASH_H

#include <stdint.h>

#include "base/bytes.h"

/* An odd 64-bit number with evenly spread bits (wyhash's first constant); arena.py has it too. */
#define HASH_FACTOR 0xa0761d6478bd642full

/* 2^64 divided by the golden ratio, made odd. */
#define HASH_GOLDEN 0x9e3779b97f4a7c15ull

/* The 128-bit product with its halves folded by XOR, as wyhash does. */
static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/*
 * Fibonacci hashing (Knuth, TAOCP 6.4) to `bits` bits, 1 to 64: consecutive numbers spread evenly.
 * It has no key: only for tables whose entries no client chooses.
 */
static inline uint64_t hash_fibonacci(uint64_t x, uint32_t bits)
{
	return x * HASH_GOLDEN >> (64 - bits);
}

/* ---------------------------------------------------------------------------------------------- */

/*
 * The key for one address family and one prefix length: random and used for nothing else, so that
 * nobody can predict which prefixes collide.
 */
struct hash_key {
	uint64_t addend, factor;
};

/* A source address in host order; IPv4 in the upper 32 bits of `high`. */
struct hash_source {
	uint64_t high, low;
};

/* `source` is in network order, 4 or 16 bytes. */
static inline struct hash_source hash_source_of(const uint8_t *source, uint8_t ip_version)
{
	if (ip_version == 4)
		return (struct hash_source){(uint64_t)load_be32(source) << 32, 0};
	return (struct hash_source){load_be64(source), load_be64(source + 8)};
}

/* A mask of the upper `bits` bits, 0 to 64; a shift by 64 would be undefined. */
static inline uint64_t hash_upper_bits(uint32_t bits)
{
	return bits ? ~0ull << (64 - bits) : 0;
}

/* The hash of a source's prefix of `bits` bits. */
static inline uint64_t hash_prefix(const struct hash_key *key, const struct hash_source *source,
				   uint32_t bits)
{
	uint64_t high = source->high & hash_upper_bits(bits < 64 ? bits : 64);
	uint64_t low = source->low & hash_upper_bits(bits > 64 ? bits - 64 : 0);

	/* Folded twice: under an unlucky key adjacent prefixes could land in adjacent lines. */
	return hash_fold(hash_fold(high ^ key->addend, low ^ key->factor), HASH_FACTOR);
}

/* The half that selects the line of a table. */
static inline uint32_t hash_line(uint64_t hash)
{
	return (uint32_t)(hash >> 32);
}

/* The half that tells the sources of a line apart. */
static inline uint32_t hash_tag(uint64_t hash)
{
	return (uint32_t)hash;
}

#endif
