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

static struct zone_index_bucket *index_of(const struct zone_directory *directory)
{
	return (struct zone_index_bucket *)((char *)directory + directory->index);
}

static uint32_t buckets_for(uint32_t count)
{
	return count / ZONE_FILL + 1;
}

static size_t size_without_index(uint32_t count, size_t zones)
{
	return sizeof(struct zone_directory) + buckets_for(count) * sizeof(struct zone_bucket) +
	       zones;
}

size_t zone_directory_size(uint32_t count, size_t zones, uint32_t names)
{
	return size_without_index(count, zones) +
	       zone_index_buckets(names) * sizeof(struct zone_index_bucket);
}

void zone_directory_begin(struct zone_directory *directory, uint32_t count, uint32_t names,
			  uint64_t seed)
{
	directory->seed = seed;
	directory->buckets = buckets_for(count);
	directory->counted = count <= ZONE_COUNTED_MAX;
	directory->only = count == 1; /* until it is added */
	directory->end = size_without_index(count, 0);
	/* Of one zone, the names are found as fast without it. */
	directory->names = count > 1 ? names : 0;
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

static void note_geo(struct zone_directory *directory, const struct zone_arena *arena,
		     const struct geo_serving *geo)
{
	uint32_t place = directory->geo_zones;

	if (place == ZONE_INDEX_GEO)
		return;
	directory->geo[place].arena = arena;
	directory->geo[place].serving = geo;
	directory->geo_zones++;
}

int zone_directory_add(struct zone_directory *directory, const uint8_t *name, uint32_t length,
		       const struct zone_arena *arena, const struct geo_serving *geo)
{
	struct zone_served *zone = (struct zone_served *)((char *)directory + directory->end);
	struct zone_bucket *table = (struct zone_bucket *)(directory + 1);
	uint32_t labels = zone_label_count(name), offset;
	uint64_t hash;

	/* The memory is zeroed: the name is padded. */
	memcpy(zone + 1, name, length);
	if (probe(directory, (const uint8_t *)(zone + 1), length)) {
		memset(zone + 1, 0, length);
		return -1;
	}
	zone->arena = arena;
	zone->geo = geo;
	zone->seed = arena ? arena->seed : 0;
	zone->buckets = arena ? arena->buckets : 0;
	zone->length = (uint16_t)length;
	hash = table_hash(directory->seed, (const uint8_t *)(zone + 1), length);
	offset = (uint32_t)(directory->end / ZONE_UNIT);
	table_add(table, directory->buckets, hash, offset);
	if (directory->only)
		directory->only = offset;
	if (geo)
		note_geo(directory, arena, geo);
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

/* The zones in the order in which they were added; NULL behind the last. */
static struct zone_served *next_zone(struct zone_directory *directory, struct zone_served *zone)
{
	char *next = (char *)directory + sizeof *directory +
		     directory->buckets * sizeof(struct zone_bucket);

	if (zone)
		next = (char *)zone + zone_served_size(zone->length);
	return next < (char *)directory + directory->end ? (struct zone_served *)next : NULL;
}

static void mark_zone_above(const struct zone_directory *directory, const struct zone_served *zone)
{
	const uint8_t *bytes = (const uint8_t *)(zone + 1);
	struct zone_name name;
	struct zone_served *above;

	zone_name_set(&name, bytes, zone->length, zone_label_count(bytes));
	above = (struct zone_served *)zone_directory_find(directory, &name, true);
	if (above)
		above->is_nested_in = true;
}

/* Enters a node, unless its name belongs to another zone below. */
static void index_node(const struct zone_directory *directory, const struct zone_served *zone,
		       const struct zone_node *node)
{
	const uint8_t *bytes = zone_node_name(node);
	struct zone_name name;

	zone_name_set(&name, bytes, node->name_length, zone_label_count(bytes));
	if (zone->is_nested_in && zone_directory_find(directory, &name, false) != zone)
		return;
	zone_index_add(index_of(directory), directory->index_buckets,
		       table_hash(directory->seed, (const uint8_t *)name.word, name.length), node);
}

/* Whether the index may have a zone's names: then zone_directory_geo() knows its serving. */
static bool is_indexed(const struct zone_directory *directory, const struct zone_served *zone)
{
	if (!zone->arena || !zone_index_names(zone->arena))
		return false;
	return !zone->arena->geo || zone_directory_geo(directory, zone->arena) == zone->geo;
}

static void index_zone(const struct zone_directory *directory, const struct zone_served *zone)
{
	const struct zone_arena *arena = zone->arena;

	for (uint32_t i = 0; i < arena->buckets; i++) {
		const struct zone_bucket *bucket = &zone_table(arena)[i];

		for (uint32_t slot = 0; slot < ZONE_SLOTS; slot++)
			if (bucket->tag[slot])
				index_node(directory, zone, zone_at(arena, bucket->node[slot]));
	}
}

void zone_directory_end(struct zone_directory *directory)
{
	uint32_t buckets = zone_index_buckets(directory->names);
	struct zone_served *zone;

	if (!buckets)
		return;
	directory->index = directory->end;
	directory->index_buckets = buckets;
	for (zone = next_zone(directory, NULL); zone; zone = next_zone(directory, zone))
		mark_zone_above(directory, zone);
	for (zone = next_zone(directory, NULL); zone; zone = next_zone(directory, zone))
		if (is_indexed(directory, zone))
			index_zone(directory, zone);
}

/* -------------------------------------------------------------------------------------------- */

enum step {
	STEP_INDEX,  /* the bucket of the name in the index is prefetched */
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
static inline __attribute__((always_inline)) bool enter_zone(struct zone_search *search,
							     struct zone_name *name)
{
	const struct zone_served *zone = search->zone;

	search->step = STEP_DONE;
	if (!zone || !zone->arena)
		return false;
	search->geo = zone->geo;
	zone_name_hash(name, zone->seed);
	search->bucket = &zone_table(zone->arena)[table_bucket(zone->buckets, name->hash)];
	__builtin_prefetch(search->bucket);
	search->step = STEP_NODE;
	return true;
}

/*
 * Tables of so many buckets, 80 zones, and those zones stay in the cache by themselves: waiting
 * for them in steps would cost more than it saves.
 */
#define FEW_BUCKETS 16

/* Where the name is not in the index: finds the zone, at once or in steps. */
static inline bool begin_zone(struct zone_search *search, const struct zone_directory *directory,
			      struct zone_name *name)
{
	if (directory->buckets > FEW_BUCKETS)
		return try_suffix(search, directory, name);
	search->zone = zone_directory_find(directory, name, false);
	return enter_zone(search, name);
}

static const struct zone_index_bucket *index_bucket(const struct zone_directory *directory,
						    uint64_t hash)
{
	return &index_of(directory)[table_bucket(directory->index_buckets, hash)];
}

void zone_search_begin(struct zone_search *search, const struct zone_directory *directory,
		       struct zone_name *name)
{
	search->node = NULL;
	search->geo = NULL;
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
	if (!directory->index_buckets) {
		begin_zone(search, directory, name);
		return;
	}
	name->hash = table_hash(directory->seed, (const uint8_t *)name->word, name->length);
	__builtin_prefetch(index_bucket(directory, name->hash));
	search->step = STEP_INDEX;
}

static bool step_index(struct zone_search *search, const struct zone_directory *directory,
		       struct zone_name *name)
{
	bool has_choices;
	const char *node = (const char *)zone_index_find(index_bucket(directory, name->hash),
							 name->hash, &has_choices);

	if (!node)
		return begin_zone(search, directory, name);
	if (has_choices)
		search->geo = directory->geo[0].serving;
	search->node = (const struct zone_node *)node;
	__builtin_prefetch(node);
	/* The image of a short name is on the next cache line. */
	__builtin_prefetch(node + 64);
	search->step = STEP_DONE;
	return false;
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

static void step_node(const struct zone_search *search, struct zone_name *name)
{
	uint32_t hits = table_matches(search->bucket, table_tag(name->hash));
	const char *node;

	if (!hits)
		return;
	name->likely = search->bucket->node[__builtin_ctz(hits)];
	node = zone_at(search->zone->arena, name->likely);
	__builtin_prefetch(node);
	/* The image of a short name is on the next cache line. */
	__builtin_prefetch(node + 64);
}

/* The steps before the last, if any. */
static __attribute__((noinline)) bool step_to_zone(struct zone_search *search,
						   const struct zone_directory *directory,
						   struct zone_name *name)
{
	switch (search->step) {
	case STEP_INDEX:
		return step_index(search, directory, name);
	case STEP_SUFFIX:
		return step_suffix(search, directory, name);
	case STEP_ZONE:
		return step_zone(search, directory, name);
	default:
		return false;
	}
}

bool zone_search_step(struct zone_search *search, const struct zone_directory *directory,
		      struct zone_name *name)
{
	if (search->step != STEP_NODE)
		return step_to_zone(search, directory, name);
	step_node(search, name);
	search->step = STEP_DONE;
	return false;
}

/* -------------------------------------------------------------------------------------------- */

const struct zone_served *zone_directory_answering(const struct zone_directory *directory,
						   const struct zone_name *name, uint16_t type)
{
	const struct zone_served *zone = zone_directory_find(directory, name, false), *above;

	if (!zone || type != TYPE_DS || zone->length != name->length)
		return zone;
	above = zone_directory_find(directory, name, true);
	return above ? above : zone;
}

enum zone_located zone_directory_lookup(const struct zone_directory *directory,
					struct zone_name *name, uint16_t type,
					struct zone_lookup *lookup)
{
	const struct zone_served *zone = zone_directory_answering(directory, name, type);

	if (!zone)
		return ZONE_ELSEWHERE;
	if (!zone->arena)
		return ZONE_NOT_LOADED;
	zone_name_hash(name, zone->seed);
	lookup->geo = zone->geo;
	/* The apex is a node of every arena, so that a name below it has an encloser. */
	return zone_lookup(zone->arena, zone_find(zone->arena, name), name, type, lookup)
		       ? ZONE_LOCATED
		       : ZONE_ELSEWHERE;
}
