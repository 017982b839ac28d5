// SPDX-License-Identifier: Apache-2.0
#include "zone/directory.h"

#include <string.h>

#include "dns/wire.h"

#define UNIT ZONE_UNIT

static const struct zone_bucket *table_of(const struct zone_directory *directory)
{
	return (const struct zone_bucket *)(directory + 1);
}

static const struct zone_served *served_at(const struct zone_directory *directory, uint32_t offset)
{
	return (const struct zone_served *)((const char *)directory + (size_t)offset * UNIT);
}

static uint32_t buckets_for(uint32_t count)
{
	return count / ZONE_FILL + 1;
}

size_t zone_directory_size(uint32_t count, size_t names)
{
	return sizeof(struct zone_directory) + buckets_for(count) * sizeof(struct zone_bucket) +
	       count * sizeof(struct zone_served) + names;
}

void zone_directory_begin(struct zone_directory *directory, uint32_t count, uint64_t seed)
{
	directory->seed = seed;
	directory->buckets = buckets_for(count);
	directory->only = count == 1; /* until it is added */
	directory->end = zone_directory_size(0, 0) +
			 (directory->buckets - 1ull) * sizeof(struct zone_bucket);
}

static bool has_name(const struct zone_served *zone, const uint8_t *name, uint32_t length)
{
	return zone->length == length && table_same_name((const uint8_t *)(zone + 1), name, length);
}

static const struct zone_served *probe(const struct zone_directory *directory, const uint8_t *name,
				       uint32_t length)
{
	uint64_t hash = table_hash(directory->seed, name, length);
	uint32_t index = table_bucket(directory->buckets, hash), tag = table_tag(hash);

	for (;;) {
		const struct zone_bucket *bucket = &table_of(directory)[index];
		uint32_t hits = table_matches(bucket, tag);

		for (; hits; hits &= hits - 1) {
			const struct zone_served *zone =
				served_at(directory, bucket->node[__builtin_ctz(hits)]);

			if (has_name(zone, name, length))
				return zone;
		}
		if (!bucket->tag[ZONE_SLOTS - 1])
			return NULL;
		if (++index == directory->buckets)
			index = 0;
	}
}

int zone_directory_add(struct zone_directory *directory, const uint8_t *name, uint32_t length,
		       const struct zone_arena *arena)
{
	struct zone_served *zone = (struct zone_served *)((char *)directory + directory->end);
	struct zone_bucket *table = (struct zone_bucket *)(directory + 1);
	uint32_t labels = zone_label_count(name), index, slot = 0;
	uint64_t hash;

	/* The memory is zeroed: the name is padded. */
	memcpy(zone + 1, name, length);
	if (probe(directory, (const uint8_t *)(zone + 1), length)) {
		memset(zone + 1, 0, length);
		return -1;
	}
	zone->arena = arena;
	zone->seed = arena ? arena->seed : 0;
	zone->buckets = arena ? arena->buckets : 0;
	zone->length = length;
	hash = table_hash(directory->seed, (const uint8_t *)(zone + 1), length);
	index = table_bucket(directory->buckets, hash);
	while (table[index].tag[ZONE_SLOTS - 1])
		index = (index + 1) % directory->buckets;
	while (table[index].tag[slot])
		slot++;
	table[index].tag[slot] = table_tag(hash);
	table[index].node[slot] = (uint32_t)(directory->end / UNIT);
	if (directory->only)
		directory->only = table[index].node[slot];
	directory->end += sizeof *zone + (length + UNIT - 1) / UNIT * UNIT;
	directory->label_counts[labels / 64] |= 1ull << labels % 64;
	return 0;
}

/* The zone of exactly this name, or NULL. */
static const struct zone_served *find(const struct zone_directory *directory, const uint8_t *name,
				      uint32_t length)
{
	const struct zone_served *only = served_at(directory, directory->only);

	if (!directory->only)
		return probe(directory, name, length);
	return has_name(only, name, length) ? only : NULL;
}

const struct zone_served *zone_directory_find(const struct zone_directory *directory,
					      const struct zone_name *name, bool above)
{
	const uint8_t *bytes = (const uint8_t *)name->word;
	uint32_t labels = name->labels, at = 0;

	if (above && labels--)
		at = bytes[0] + 1u;
	else if (above)
		return NULL;
	for (;; labels--) {
		const struct zone_served *zone;

		if (directory->label_counts[labels / 64] >> labels % 64 & 1) {
			zone = find(directory, bytes + at, name->length - at);
			if (zone)
				return zone;
		}
		if (!labels)
			return NULL;
		at += bytes[at] + 1u;
	}
}

/* -------------------------------------------------------------------------------------------- */

static const struct zone_bucket *bucket_of(const struct zone_served *zone,
					   const struct zone_name *name)
{
	return &zone_table(zone->arena)[table_bucket(zone->buckets, name->hash)];
}

void zone_served_prefetch_bucket(const struct zone_served *zone, const struct zone_name *name)
{
	__builtin_prefetch(bucket_of(zone, name));
}

void zone_served_prefetch_node(const struct zone_served *zone, struct zone_name *name)
{
	const struct zone_bucket *bucket = bucket_of(zone, name);
	uint32_t hits = table_matches(bucket, table_tag(name->hash));
	const char *node;

	if (!hits)
		return;
	name->likely = bucket->node[__builtin_ctz(hits)];
	node = zone_at(zone->arena, name->likely);
	__builtin_prefetch(node);
	/* The image of a short name is on the next cache line. */
	__builtin_prefetch(node + 64);
}

/* -------------------------------------------------------------------------------------------- */

enum zone_located zone_directory_lookup(const struct zone_directory *directory,
					struct zone_name *name, uint16_t type,
					struct zone_lookup *lookup)
{
	const struct zone_served *zone = zone_directory_find(directory, name, false), *above;

	if (!zone)
		return ZONE_ELSEWHERE;
	if (type == TYPE_DS && zone->length == name->length) {
		above = zone_directory_find(directory, name, true);
		zone = above ? above : zone;
	}
	if (!zone->arena)
		return ZONE_NOT_LOADED;
	zone_name_hash(name, zone->seed);
	/* The apex is a node of every arena, so that a name below it has an encloser. */
	return zone_lookup(zone->arena, zone_find(zone->arena, name), name, type, lookup)
		       ? ZONE_LOCATED
		       : ZONE_ELSEWHERE;
}
