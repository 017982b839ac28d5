/* SPDX-License-Identifier: Apache-2.0 */
#include "zone/zone.h"

#include <string.h>

#include "dns/wire.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "admit/tags.h"

/*
 * Lower-cases eight ASCII bytes at once: bit 7 of each byte is raised where the byte is in A-Z, and
 * moved down to bit 5. Length bytes of labels are below 'A', so whole names can go through it.
 */
static inline uint64_t lower8(uint64_t w)
{
	const uint64_t ones = 0x0101010101010101ULL;
	uint64_t low = w & (0x7f * ones);
	uint64_t from_a = low + (0x80 - 'A') * ones;
	uint64_t past_z = low + (0x7f - 'Z') * ones;

	return w | (((from_a ^ past_z) & ~w & (0x80 * ones)) >> 2);
}

/* Must match arena.py's name_hash(). */
static uint64_t hash_name(uint64_t seed, const uint8_t *name, uint32_t length)
{
	uint64_t hash = seed;

	for (uint32_t i = 0; i < length; i += 8)
		hash = hash_fold(hash ^ load_u64(name + i), HASH_FACTOR);
	return hash;
}

int zone_open(const void *base, size_t size)
{
	const struct zone_arena *arena = base;
	uint64_t entries, table;

	if (size < sizeof *arena + ZONE_SLACK || arena->magic != ZONE_MAGIC ||
	    arena->version != ZONE_VERSION || arena->size != size)
		return -1;
	entries = (uint64_t)arena->zones * ZONE_UNIT;
	table = (uint64_t)arena->table * ZONE_UNIT;
	if (entries < sizeof *arena || !arena->zone_count ||
	    entries + (uint64_t)arena->zone_count * sizeof(struct zone_entry) > table)
		return -1;
	if (table % sizeof(struct zone_bucket) || !arena->buckets ||
	    table + (uint64_t)arena->buckets * sizeof(struct zone_bucket) > size - ZONE_SLACK)
		return -1;
	/* A probe ends at a bucket with room: in a full table it would never end. */
	if (arena->node_count >= (uint64_t)arena->buckets * ZONE_SLOTS)
		return -1;
	return arena->min_labels <= arena->max_labels ? 0 : -1;
}

void zone_name_set(struct zone_name *name, const struct zone_arena *arena, const uint8_t *wire,
		   uint32_t length, uint32_t labels)
{
	uint32_t words = length / 8, tail = length % 8;
	uint64_t hash = arena->seed;

	for (uint32_t i = 0; i < words; i++) {
		name->word[i] = lower8(load_u64(wire + i * 8));
		hash = hash_fold(hash ^ name->word[i], HASH_FACTOR);
	}
	if (tail) {
		/* The eight bytes that end with the name, so that nothing past it is read. */
		name->word[words] = lower8(load_u64(wire + length - 8) >> (64 - tail * 8));
		hash = hash_fold(hash ^ name->word[words++], HASH_FACTOR);
	}
	name->word[words] = 0;
	name->hash = hash;
	name->length = length;
	name->labels = labels;
	name->likely = 0;
}

/* Both sides are padded with zeros to whole words, `have` in a struct zone_name's word[]. */
static inline bool same_name(const uint8_t *have, const uint8_t *want, uint32_t length)
{
	uint64_t differ = 0;

	for (uint32_t i = 0; i < length; i += 8)
		differ |= load_u64(have + i) ^ load_u64(want + i);
	return !differ;
}

/* -------------------------------------------------------------------------------------------- */

static uint32_t bucket_of(const struct zone_arena *arena, uint64_t hash)
{
	return (uint32_t)(((hash >> 32) * arena->buckets) >> 32);
}

/* The slots of a bucket that have this tag, as a bitmask. */
static uint32_t matching_slots(const struct zone_bucket *bucket, uint32_t tag)
{
	uint32_t hits = 0;

	for (uint32_t i = 0; i < ZONE_SLOTS; i += TAGS)
		hits |= tags_equal(&bucket->tag[i], tag) << i;
	return hits;
}

void zone_prefetch_bucket(const struct zone_arena *arena, const struct zone_name *name)
{
	const struct zone_bucket *table = zone_at(arena, arena->table);

	__builtin_prefetch(&table[bucket_of(arena, name->hash)]);
}

void zone_prefetch_node(const struct zone_arena *arena, struct zone_name *name)
{
	const struct zone_bucket *table = zone_at(arena, arena->table);
	const struct zone_bucket *bucket = &table[bucket_of(arena, name->hash)];
	uint32_t hits = matching_slots(bucket, (uint32_t)name->hash | 1);
	const char *node;

	if (!hits)
		return;
	name->likely = bucket->node[__builtin_ctz(hits)];
	node = zone_at(arena, name->likely);
	__builtin_prefetch(node);
	/* The image of a short name is on the next cache line. */
	__builtin_prefetch(node + 64);
}

static bool has_name(const struct zone_node *node, const uint8_t *name, uint32_t length)
{
	const uint8_t *have =
		(const uint8_t *)(node + 1) + node->type_count * sizeof(struct zone_type);

	return node->name_length == length && same_name(have, name, length);
}

static const struct zone_node *probe(const struct zone_arena *arena, const uint8_t *name,
				     uint32_t length, uint64_t hash)
{
	const struct zone_bucket *table = zone_at(arena, arena->table);
	uint32_t index = bucket_of(arena, hash);
	uint32_t tag = (uint32_t)hash | 1;

	for (;;) {
		const struct zone_bucket *bucket = &table[index];
		uint32_t hits = matching_slots(bucket, tag);

		for (; hits; hits &= hits - 1) {
			const struct zone_node *node =
				zone_at(arena, bucket->node[__builtin_ctz(hits)]);

			if (has_name(node, name, length))
				return node;
		}
		if (!bucket->tag[ZONE_SLOTS - 1])
			return NULL;
		if (++index == arena->buckets)
			index = 0;
	}
}

const struct zone_node *zone_find(const struct zone_arena *arena, const struct zone_name *name)
{
	const struct zone_node *likely = zone_at(arena, name->likely);

	if (name->likely && has_name(likely, (const uint8_t *)name->word, name->length))
		return likely;
	if (name->labels > arena->max_labels || name->labels < arena->min_labels)
		return NULL;
	return probe(arena, (const uint8_t *)name->word, name->length, name->hash);
}

const struct zone_node *zone_encloser(const struct zone_arena *arena, const struct zone_name *name)
{
	const uint8_t *bytes = (const uint8_t *)name->word;
	uint32_t at = 0;

	/* At most 127 suffixes of at most 32 words: a few microseconds at the very worst. */
	for (uint32_t labels = name->labels; labels > arena->min_labels;) {
		const struct zone_node *node;
		uint32_t length;

		at += bytes[at] + 1u;
		if (--labels > arena->max_labels)
			continue;
		length = name->length - at;
		node = probe(arena, bytes + at, length, hash_name(arena->seed, bytes + at, length));
		if (node)
			return node;
	}
	return NULL;
}

const struct zone_image *zone_image(const struct zone_arena *arena, const struct zone_node *node,
				    uint16_t type)
{
	const struct zone_type *types = (const struct zone_type *)(node + 1);
	uint32_t count = node->type_count;

	if (type == TYPE_ANY && count && !(node->flags & ZONE_NODE_CUT)) {
		/* Lowest type first: A, NS ...; at an alias, the CNAME and not its target. */
		if (!(node->flags & ZONE_NODE_ALIAS)) {
			while (types->type >= TYPE_RRSIG && types->type <= TYPE_NSEC && count-- > 1)
				types++;
			return zone_at(arena, types->image);
		}
		type = TYPE_CNAME;
	}
	while (count > 1) {
		uint32_t half = count / 2;

		if (types[half].type <= type)
			types += half;
		count -= half;
	}
	if (count && types->type == type)
		return zone_at(arena, types->image);
	if (node->flags & ZONE_NODE_CUT && type == TYPE_DS) {
		/* This zone is authoritative for whether the delegation is signed: RFC 4035
		 * section 3.1.4.1. */
		const struct zone_entry *zone = zone_at(arena, node->zone);

		return zone_at(arena, zone->nodata);
	}
	return zone_at(arena, node->fallback);
}

/* The lookup result of a missing name under `encloser`. */
static void lookup_below(const struct zone_arena *arena, const struct zone_node *encloser,
			 uint16_t type, struct zone_lookup *lookup)
{
	const struct zone_entry *zone;

	lookup->node = lookup->encloser = encloser;
	if (encloser->flags & ZONE_NODE_CUT) {
		/* Takes precedence over a wildcard: what is below belongs to another server. */
		lookup->image = zone_at(arena, encloser->fallback);
	} else if (encloser->flags & ZONE_NODE_DNAME) {
		lookup->image = zone_image(arena, encloser, TYPE_DNAME);
	} else if (encloser->wildcard) {
		lookup->node = zone_at(arena, encloser->wildcard);
		lookup->image = zone_image(arena, lookup->node, type);
	} else {
		zone = zone_at(arena, encloser->zone);
		lookup->image = zone_at(arena, zone->nxdomain);
	}
}

bool zone_lookup(const struct zone_arena *arena, const struct zone_node *node,
		 const struct zone_name *name, uint16_t type, struct zone_lookup *lookup)
{
	lookup->node = node;
	lookup->encloser = NULL;
	if (node) {
		lookup->image = zone_image(arena, node, type);
		return true;
	}
	node = zone_encloser(arena, name);
	if (node)
		lookup_below(arena, node, type, lookup);
	return node;
}
