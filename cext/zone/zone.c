/* SPDX-License-Identifier: Apache-2.0 */
#include "zone/zone.h"

#include <string.h>

#include "dns/wire.h"
#include "base/bytes.h"

/* As many bytes as SSE2 and NEON have in a vector. */
typedef uint8_t bytes16 __attribute__((vector_size(16), aligned(1), may_alias));

/* Length bytes of labels are below 'A', so whole names can go through it. */
static inline bytes16 lower16(bytes16 name)
{
	bytes16 is_upper = (bytes16)(name - 'A' < 26);

	return name | (is_upper & 0x20);
}

int zone_open(const void *base, size_t size)
{
	const struct zone_arena *arena = base;

	if (size < sizeof *arena + ZONE_SLACK || arena->magic != ZONE_MAGIC ||
	    arena->version != ZONE_VERSION || arena->size != size)
		return -1;
	if (!arena->buckets ||
	    sizeof *arena + (uint64_t)arena->buckets * sizeof(struct zone_bucket) >
		    size - ZONE_SLACK)
		return -1;
	/* A probe ends at a bucket with room: in a full table it would never end. */
	if (arena->node_count >= (uint64_t)arena->buckets * ZONE_SLOTS)
		return -1;
	return arena->min_labels <= arena->max_labels ? 0 : -1;
}

void zone_name_set(struct zone_name *name, const uint8_t *wire, uint32_t length, uint32_t labels)
{
	uint8_t *bytes = (uint8_t *)name->word;
	uint64_t *last = &name->word[length / 8];

	for (uint32_t i = 0; i < length; i += 16)
		*(bytes16 *)(bytes + i) = lower16(*(const bytes16 *)(wire + i));
	/* Zeros to the end of the word, and one more word of them. */
	last[0] &= (1ULL << length % 8 * 8) - 1;
	last[1] = 0;
	name->length = length;
	name->labels = labels;
}

void zone_name_hash(struct zone_name *name, uint64_t seed)
{
	name->hash = table_hash(seed, (const uint8_t *)name->word, name->length);
	name->likely = 0;
}

/* -------------------------------------------------------------------------------------------- */

static const struct zone_node *probe(const struct zone_arena *arena, const uint8_t *name,
				     uint32_t length, uint64_t hash)
{
	const struct zone_bucket *table = zone_table(arena);
	uint32_t index = table_bucket(arena->buckets, hash);
	uint32_t tag = table_tag(hash);

	for (;;) {
		const struct zone_bucket *bucket = &table[index];
		uint32_t hits = table_matches(bucket, tag);

		for (; hits; hits &= hits - 1) {
			const struct zone_node *node =
				zone_at(arena, bucket->node[__builtin_ctz(hits)]);

			if (zone_has_name(node, name, length))
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

	if (name->likely && zone_has_name(likely, (const uint8_t *)name->word, name->length))
		return likely;
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
		node = probe(arena, bytes + at, length,
			     table_hash(arena->seed, bytes + at, length));
		if (node)
			return node;
	}
	return NULL;
}

/* The type that answers ANY at a node that has some: the lowest, A, NS ...; at an alias the CNAME,
 * and not its target. */
static __attribute__((noinline)) uint16_t type_for_any(const struct zone_node *node)
{
	const struct zone_type *types = (const struct zone_type *)(node + 1);
	uint32_t count = node->type_count;

	if (node->flags & ZONE_NODE_ALIAS)
		return TYPE_CNAME;
	while (types->type >= TYPE_RRSIG && types->type <= TYPE_NSEC && count-- > 1)
		types++;
	return types->type;
}

/* What a node has for a type, of which the caller uses the offset, or the flags, too. */
static inline struct zone_type entry_of(const struct zone_arena *arena,
					const struct zone_node *node, uint16_t type)
{
	const struct zone_type *types = (const struct zone_type *)(node + 1);
	uint32_t count = node->type_count;

	if (__builtin_expect(type == TYPE_ANY, 0) && count &&
	    !(node->flags & (ZONE_NODE_CUT | ZONE_NODE_GEO)))
		type = type_for_any(node);
	while (count > 1) {
		uint32_t half = count / 2;

		if (types[half].type <= type)
			types += half;
		count -= half;
	}
	if (count && types->type == type)
		return *types;
	if (node->flags & ZONE_NODE_CUT && type == TYPE_DS) {
		/* This zone is authoritative for whether the delegation is signed: RFC 4035
		 * section 3.1.4.1. */
		return (struct zone_type){.image = arena->nodata};
	}
	return (struct zone_type){
		.flags = node->flags & ZONE_NODE_CHOICE ? ZONE_TYPE_CHOICE : 0,
		.image = node->fallback,
	};
}

const struct zone_image *zone_image(const struct zone_arena *arena, const struct zone_node *node,
				    uint16_t type)
{
	return zone_at(arena, entry_of(arena, node, type).image);
}

/* The lookup result at the node whose records apply. */
static void lookup_at(const struct zone_arena *arena, const struct zone_node *node, uint16_t type,
		      struct zone_lookup *lookup)
{
	struct zone_type entry = entry_of(arena, node, type);

	lookup->node = node;
	if (node->flags & ZONE_NODE_GEO && entry.flags & ZONE_TYPE_CHOICE) {
		lookup->choice = entry.image;
		entry.image = *(const uint32_t *)zone_at(arena, entry.image);
	}
	lookup->image = zone_at(arena, entry.image);
}

/* The lookup result of a missing name under `encloser`. */
static void lookup_below(const struct zone_arena *arena, const struct zone_node *encloser,
			 uint16_t type, struct zone_lookup *lookup)
{
	lookup->node = lookup->encloser = encloser;
	if (encloser->flags & ZONE_NODE_CUT) {
		/* Takes precedence over a wildcard: what is below belongs to another server. */
		lookup->image = zone_at(arena, encloser->fallback);
	} else if (encloser->flags & ZONE_NODE_DNAME) {
		lookup->image = zone_image(arena, encloser, TYPE_DNAME);
	} else if (encloser->wildcard) {
		lookup_at(arena, zone_at(arena, encloser->wildcard), type, lookup);
	} else {
		lookup->image = zone_at(arena, arena->nxdomain);
	}
}

bool zone_lookup(const struct zone_arena *arena, const struct zone_node *node,
		 const struct zone_name *name, uint16_t type, struct zone_lookup *lookup)
{
	lookup->arena = arena;
	lookup->encloser = NULL;
	lookup->choice = 0;
	if (node) {
		lookup_at(arena, node, type, lookup);
		return true;
	}
	node = zone_encloser(arena, name);
	if (node)
		lookup_below(arena, node, type, lookup);
	return node;
}
