// SPDX-License-Identifier: Apache-2.0
#include "zone/denial.h"

#include <string.h>

#include "zone/keys.h"

static const struct zone_denial *denial_of(const struct zone_node *node)
{
	return (const struct zone_denial *)node - 1;
}

static void add(const struct zone_arena *arena, struct zone_proof *proof, uint32_t offset)
{
	const struct zone_part *part = zone_at(arena, offset);

	/* A sound zone needs no more: ZONE_PROOF_MAX. */
	if (!offset || proof->count == ZONE_PROOF_MAX)
		return;
	for (uint32_t i = 0; i < proof->count; i++)
		if (proof->part[i] == part)
			return;
	proof->part[proof->count++] = part;
	proof->size += part->size;
}

/* The closest provable encloser: opt-out may have omitted the actual one. */
static const struct zone_node *provable(const struct zone_arena *arena,
					const struct zone_node *node)
{
	if (node->flags & ZONE_NODE_UNPROVEN)
		return zone_at(arena, denial_of(node)->provable);
	return node;
}

/* -------------------------------------------------------------------------------------------- */

static bool sorts_after(const struct zone_part *part, const uint8_t *key, uint32_t length)
{
	uint32_t shorter = part->key < length ? part->key : length;
	int order = memcmp(part + 1, key, shorter);

	return order ? order > 0 : part->key > length;
}

/* The part of the last name that sorts at or before this one; the apex sorts before them all. */
static uint32_t cover_name(const struct zone_arena *arena, const struct zone_name *name)
{
	const struct zone_node *apex = zone_at(arena, arena->apex);
	const uint32_t *first = zone_at(arena, arena->chain);
	uint32_t count = arena->links, length;
	uint8_t key[ZONE_KEY_MAX];

	length = zone_canonical_key((const uint8_t *)name->word, name->length - apex->name_length,
				    key);
	while (count > 1) {
		uint32_t half = count / 2;

		if (!sorts_after(zone_at(arena, first[half]), key, length))
			first += half;
		count -= half;
	}
	return *first;
}

/* The part of the last hash that is at or below that of the next closer name; wraps around. */
static uint32_t cover_hash(const struct zone_arena *arena, const struct zone_name *name,
			   uint32_t below)
{
	const struct zone_hashed *chain = zone_at(arena, arena->chain), *first = chain;
	const uint8_t *bytes = (const uint8_t *)name->word;
	uint32_t count = arena->links, next = 0;
	uint8_t hash[SHA1_SIZE];

	while (next + bytes[next] + 1u < below)
		next += bytes[next] + 1u;
	zone_hash_name(zone_at(arena, arena->hashing), bytes + next, name->length - next, hash);
	while (count > 1) {
		uint32_t half = count / 2;

		if (memcmp(first[half].hash, hash, SHA1_SIZE) <= 0)
			first += half;
		count -= half;
	}
	if (memcmp(first->hash, hash, SHA1_SIZE) > 0)
		first = chain + arena->links - 1;
	return first->part;
}

/* The name, or in NSEC3 the next closer name to its encloser, does not exist. */
static void add_cover(const struct zone_arena *arena, const struct zone_node *encloser,
		      const struct zone_name *name, struct zone_proof *proof)
{
	uint32_t part;

	if (arena->hashing)
		part = cover_hash(arena, name, name->length - encloser->name_length);
	else
		part = cover_name(arena, name);
	add(arena, proof, part);
}

/* -------------------------------------------------------------------------------------------- */

void zone_prove_nodata(const struct zone_arena *arena, const struct zone_node *node,
		       struct zone_proof *proof)
{
	add(arena, proof, denial_of(node)->match);
	if (node->flags & (ZONE_NODE_CUT | ZONE_NODE_UNPROVEN))
		add(arena, proof, denial_of(node)->cover);
}

void zone_prove_missing(const struct zone_arena *arena, const struct zone_node *encloser,
			const struct zone_name *name, struct zone_proof *proof)
{
	encloser = provable(arena, encloser);
	add_cover(arena, encloser, name, proof);
	if (arena->hashing)
		add(arena, proof, denial_of(encloser)->match);
	add(arena, proof, denial_of(encloser)->cover);
}

void zone_prove_wildcard(const struct zone_arena *arena, const struct zone_node *encloser,
			 const struct zone_name *name, bool nodata, struct zone_proof *proof)
{
	const struct zone_node *wildcard = zone_at(arena, encloser->wildcard);

	add_cover(arena, provable(arena, encloser), name, proof);
	if (!nodata)
		return;
	zone_prove_nodata(arena, wildcard, proof);
	if (arena->hashing)
		add(arena, proof, denial_of(provable(arena, encloser))->match);
}
