/* SPDX-License-Identifier: Apache-2.0 */
/* The hash table of names that an arena (zone/zone.h) and the directory of zones both have. */
#ifndef XDPKIT_ZONE_TABLE_H
#define XDPKIT_ZONE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "admit/tags.h"
#include "base/bytes.h"
#include "base/hash.h"

/*
 * One cache line. Tags and nodes are separate, so that eight tags compare as two vectors. The tag
 * of a used slot is odd, that of an empty one 0; slots fill from the front, and a full bucket
 * spills into the next.
 */
#define ZONE_SLOTS 8

/* Average names per bucket: 12.8 bytes a name, and 1 in 40 is in a second bucket. */
#define ZONE_FILL 5

struct zone_bucket {
	uint32_t tag[ZONE_SLOTS];
	uint32_t node[ZONE_SLOTS];
};

_Static_assert(sizeof(struct zone_bucket) == 64, "one cache line");

/* Must match arena.py's name_hash(). The name is padded with zeros to whole words. */
static inline uint64_t table_hash(uint64_t seed, const uint8_t *name, uint32_t length)
{
	uint64_t hash = seed;
	uint32_t i = 0;

	/* Two words a turn: most names have three or four. */
	for (; i + 8 < length; i += 16) {
		hash = hash_fold(hash ^ load_u64(name + i), HASH_FACTOR);
		hash = hash_fold(hash ^ load_u64(name + i + 8), HASH_FACTOR);
	}
	return i < length ? hash_fold(hash ^ load_u64(name + i), HASH_FACTOR) : hash;
}

static inline uint32_t table_bucket(uint32_t buckets, uint64_t hash)
{
	return (uint32_t)(((hash >> 32) * buckets) >> 32);
}

/* The tag of a used slot is odd. */
static inline uint32_t table_tag(uint64_t hash)
{
	return (uint32_t)hash | 1;
}

/* The slots of a bucket that have this tag, as a bitmask. */
static inline uint32_t table_matches(const struct zone_bucket *bucket, uint32_t tag)
{
	uint32_t hits = 0;

	for (uint32_t i = 0; i < ZONE_SLOTS; i += TAGS)
		hits |= tags_equal(&bucket->tag[i], tag) << i;
	return hits;
}

/* Adds a node; one of the buckets is not full. */
static inline void table_add(struct zone_bucket *table, uint32_t buckets, uint64_t hash,
			     uint32_t node)
{
	uint32_t index = table_bucket(buckets, hash), slot = 0;

	while (table[index].tag[ZONE_SLOTS - 1])
		index = (index + 1) % buckets;
	while (table[index].tag[slot])
		slot++;
	table[index].tag[slot] = table_tag(hash);
	table[index].node[slot] = node;
}

/* As many bytes as SSE2 and NEON have in a vector. */
typedef uint64_t table_words __attribute__((vector_size(16), aligned(1), may_alias));

/* Where two names differ, in the 16 bytes at this offset. */
static inline table_words table_differ(const uint8_t *have, const uint8_t *want, uint32_t at)
{
	return *(const table_words *)(have + at) ^ *(const table_words *)(want + at);
}

/* Whether two names of the same length, both padded with zeros to whole words, are the same. */
static inline __attribute__((always_inline)) bool
table_same_name(const uint8_t *have, const uint8_t *want, uint32_t length)
{
	table_words differ;

	if (length < 16) {
		uint32_t last = length > 8 ? 8 : 0;

		return load_u64(have) == load_u64(want) &&
		       load_u64(have + last) == load_u64(want + last);
	}
	/* The last vector overlaps the one before: a name need not have whole ones. */
	differ = table_differ(have, want, length - 16);
	for (uint32_t i = 0; i + 16 < length; i += 16)
		differ |= table_differ(have, want, i);
	return !(differ[0] | differ[1]);
}

#endif
