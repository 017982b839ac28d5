// SPDX-License-Identifier: Apache-2.0
#include "zone/directory.h"

#include <string.h>

#include "dns/wire.h"

static const struct zone_bucket *table_of(const struct zone_directory *directory)
{
	return (const struct zone_bucket *)(directory + 1);
}

static const struct zone_served *served_at(const struct zone_directory *directory, uint32_t offset)
{
	return (const struct zone_served *)((const char *)directory + (size_t)offset * ZONE_UNIT);
}

static uint32_t buckets_for(uint32_t count)
{
	return count / ZONE_FILL + 1;
}

size_t zone_directory_size(uint32_t count, size_t zones)
{
	return sizeof(struct zone_directory) + buckets_for(count) * sizeof(struct zone_bucket) +
	       zones;
}

void zone_directory_begin(struct zone_directory *directory, uint32_t count, uint64_t seed)
{
	directory->seed = seed;
	directory->buckets = buckets_for(count);
	directory->only = count == 1; /* until it is added */
	directory->end = zone_directory_size(count, 0);
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
	table[index].node[slot] = (uint32_t)(directory->end / ZONE_UNIT);
	if (directory->only)
		directory->only = table[index].node[slot];
	directory->end += zone_served_size(length);
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

enum step {
	STEP_SUFFIX, /* the bucket of a suffix of the name is prefetched */
	STEP_ZONE,   /* a zone that may be the suffix's */
	STEP_NODE,   /* the bucket of the name in the zone */
	STEP_DONE,
};

/* Prefetches the bucket of the suffix, or the next shorter one that can be a zone's name. */
static bool try_suffix(struct zone_search *search, const struct zone_directory *directory,
		       struct zone_name *name)
{
	const uint8_t *bytes = (const uint8_t *)name->word;

	while (!(directory->label_counts[search->labels / 64] >> search->labels % 64 & 1)) {
		if (!search->labels) {
			search->zone = NULL;
			search->step = STEP_DONE;
			return false;
		}
		search->at = (uint16_t)(search->at + bytes[search->at] + 1u);
		search->labels--;
	}
	name->hash = table_hash(directory->seed, bytes + search->at, name->length - search->at);
	__builtin_prefetch(&table_of(directory)[table_bucket(directory->buckets, name->hash)]);
	search->step = STEP_SUFFIX;
	return true;
}

/* The zone is known: prefetches the bucket of the name. */
static bool enter_zone(struct zone_search *search, struct zone_name *name)
{
	const struct zone_served *zone = search->zone;

	search->step = STEP_DONE;
	if (!zone || !zone->arena)
		return false;
	zone_name_hash(name, zone->seed);
	__builtin_prefetch(&zone_table(zone->arena)[table_bucket(zone->buckets, name->hash)]);
	search->step = STEP_NODE;
	return true;
}

void zone_search_begin(struct zone_search *search, const struct zone_directory *directory,
		       struct zone_name *name)
{
	if (directory->only) {
		/* Whether the name is in it shows when it is looked up there. */
		search->zone = served_at(directory, directory->only);
		if (!search->zone->arena)
			search->zone = zone_directory_find(directory, name, false);
		enter_zone(search, name);
		return;
	}
	search->at = 0;
	search->labels = (uint8_t)name->labels;
	try_suffix(search, directory, name);
}

/* Whether the suffix may be a zone's name, and which; else the next one is tried. */
static bool step_suffix(struct zone_search *search, const struct zone_directory *directory,
			struct zone_name *name)
{
	const struct zone_bucket *bucket =
		&table_of(directory)[table_bucket(directory->buckets, name->hash)];
	uint32_t hits = table_matches(bucket, table_tag(name->hash));

	if (hits) {
		search->zone = served_at(directory, bucket->node[__builtin_ctz(hits)]);
		__builtin_prefetch(search->zone);
		search->step = STEP_ZONE;
		return true;
	}
	/* It may be in the next bucket: rare, and found without a prefetch. */
	if (bucket->tag[ZONE_SLOTS - 1]) {
		search->zone = zone_directory_find(directory, name, false);
		return enter_zone(search, name);
	}
	if (!search->labels) {
		search->zone = NULL;
		search->step = STEP_DONE;
		return false;
	}
	search->at = (uint16_t)(search->at + ((const uint8_t *)name->word)[search->at] + 1u);
	search->labels--;
	return try_suffix(search, directory, name);
}

static bool step_zone(struct zone_search *search, const struct zone_directory *directory,
		      struct zone_name *name)
{
	const uint8_t *suffix = (const uint8_t *)name->word + search->at;

	/* Another one had the same tag. */
	if (!has_name(search->zone, suffix, name->length - search->at))
		search->zone = zone_directory_find(directory, name, false);
	return enter_zone(search, name);
}

static void step_node(const struct zone_served *zone, struct zone_name *name)
{
	const struct zone_bucket *bucket =
		&zone_table(zone->arena)[table_bucket(zone->buckets, name->hash)];
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

bool zone_search_step(struct zone_search *search, const struct zone_directory *directory,
		      struct zone_name *name)
{
	switch (search->step) {
	case STEP_SUFFIX:
		return step_suffix(search, directory, name);
	case STEP_ZONE:
		return step_zone(search, directory, name);
	case STEP_NODE:
		step_node(search->zone, name);
		search->step = STEP_DONE;
		return false;
	default:
		return false;
	}
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
