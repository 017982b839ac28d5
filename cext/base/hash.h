/* SPDX-License-Identifier: Apache-2.0 */
/* The hash of names and addresses: products of 128 bits, their halves folded, as wyhash does. */
#ifndef XDPKIT_HASH_H
#define XDPKIT_HASH_H

#include <stdint.h>

#include "base/bytes.h"

/* An odd 64-bit number with evenly spread bits (wyhash's first constant); arena.py has it too. */
#define HASH_FACTOR 0xa0761d6478bd642full

static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* ---------------------------------------------------------------------------------------------- */

/*
 * The key of one family's prefixes of one length: random, and no other's, so that nobody can tell
 * which prefixes meet.
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

/* The upper `bits` bits of 64; 0 bits, which cannot be shifted to, are none. */
static inline uint64_t hash_upper_bits(uint32_t bits)
{
	return bits ? ~0ull << (64 - bits) : 0;
}

/* Of the source cut to `bits` bits. */
static inline uint64_t hash_prefix(const struct hash_key *key, const struct hash_source *source,
				   uint32_t bits)
{
	uint64_t high = source->high & hash_upper_bits(bits < 64 ? bits : 64);
	uint64_t low = source->low & hash_upper_bits(bits > 64 ? bits - 64 : 0);

	/* Twice, or neighbours could fall into neighbouring lines under an unlucky key. */
	return hash_fold(hash_fold(high ^ key->addend, low ^ key->factor), HASH_FACTOR);
}

/* What chooses a line of a table. */
static inline uint32_t hash_line(uint64_t hash)
{
	return (uint32_t)(hash >> 32);
}

/* What tells the sources of a line apart. */
static inline uint32_t hash_tag(uint64_t hash)
{
	return (uint32_t)hash;
}

#endif
