// SPDX-License-Identifier: Apache-2.0
#include "zone/check.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "dns/wire.h"
#include "zone/zone.h"
#include "zone/check_image.h"

/* Bytes from an offset to the end of the contents. */
static uint64_t room_at(const struct zone_extent *check, uint32_t offset)
{
	return check->end - (uint64_t)offset * ZONE_UNIT;
}

/* Whether a node's name is at or below another's; both must be sound. */
static bool is_below(const struct zone_node *node, const struct zone_node *above)
{
	const uint8_t *name = zone_node_name(node);
	uint32_t rest = node->name_length;

	while (rest > above->name_length) {
		rest -= name[0] + 1u;
		name += name[0] + 1u;
	}
	return rest == above->name_length && memcmp(name, zone_node_name(above), rest) == 0;
}

/* A node whose name and type list are inside the arena; what they refer to is not checked. */
static const struct zone_node *node_at(const struct zone_extent *check, uint32_t offset)
{
	const struct zone_node *node = zone_check_within(check, offset, sizeof *node);
	uint64_t size;

	if (!node || node->at != offset)
		return NULL;
	size = sizeof *node + node->type_count * sizeof(struct zone_type);
	if (!zone_check_within(check, offset, size + (node->name_length + 7u) / 8 * 8) ||
	    !node->name_length)
		return NULL;
	return zone_wire_name_length(zone_node_name(node), node->name_length) == node->name_length
		       ? node
		       : NULL;
}

/* A node that is also in the table, and so is checked in full. */
static const struct zone_node *indexed_node_at(const struct zone_extent *check, uint32_t offset)
{
	const struct zone_node *node = node_at(check, offset);
	struct zone_name name;

	if (!node)
		return NULL;
	/* What it reads after the name is still in the arena, or its slack. */
	zone_name_set(&name, zone_node_name(node), node->name_length,
		      zone_label_count(zone_node_name(node)));
	zone_name_hash(&name, check->arena->seed);
	return zone_find(check->arena, &name) == node ? node : NULL;
}

/* -------------------------------------------------------------------------------------------- */

static bool part_is_sound(const struct zone_extent *check, uint32_t offset)
{
	const struct zone_part *part = zone_check_within(check, offset, sizeof *part);
	uint64_t room, at, size;
	const uint8_t *bytes;

	if (!part || !part->records)
		return false;
	room = room_at(check, offset) - sizeof *part;
	bytes = (const uint8_t *)(part + 1);
	at = (uint64_t)part->key + part->labels;
	size = part->labels;
	for (uint32_t n = part->records; n; n--) {
		uint32_t record;

		if (at + RR_FIXED > room)
			return false;
		record = RR_FIXED + load_be16(bytes + at + 8);
		at += record;
		size += 2 + record;
	}
	/* dns/compose.c must write exactly what it made room for. */
	return at <= room && size == part->size;
}

static bool chain_is_sound(const struct zone_extent *check)
{
	const struct zone_arena *zone = check->arena;
	const struct zone_hashing *hashing;
	const struct zone_hashed *hashed;
	const uint32_t *first;
	uint64_t size = zone->hashing ? sizeof *hashed : sizeof *first;

	if (!zone->chain)
		return true;
	if (!zone->links || !zone_check_within(check, zone->chain, zone->links * size))
		return false;
	if (zone->hashing) {
		hashing = zone_check_within(check, zone->hashing, sizeof *hashing);
		if (!hashing || hashing->iterations > ZONE_ITERATIONS_MAX ||
		    !zone_check_within(check, zone->hashing,
				       sizeof *hashing + hashing->salt_length))
			return false;
	}
	hashed = zone_at(check->arena, zone->chain);
	first = zone_at(check->arena, zone->chain);
	for (uint32_t i = 0; i < zone->links; i++)
		if (!part_is_sound(check, zone->hashing ? hashed[i].part : first[i]))
			return false;
	return true;
}

static bool denial_is_sound(const struct zone_extent *check, const struct zone_node *node,
			    uint32_t offset)
{
	const struct zone_denial *denial;
	const struct zone_node *above;

	if (offset < sizeof *denial / ZONE_UNIT)
		return false;
	denial = zone_check_within(check, offset - sizeof *denial / ZONE_UNIT, sizeof *denial);
	if (!denial || (denial->match && !part_is_sound(check, denial->match)) ||
	    (denial->cover && !part_is_sound(check, denial->cover)))
		return false;
	if (!(node->flags & ZONE_NODE_UNPROVEN))
		return true;
	above = indexed_node_at(check, denial->provable);
	return above && is_below(node, above);
}

/* The wildcard under a node answers for names there. */
static bool wildcard_is_sound(const struct zone_extent *check, const struct zone_node *node)
{
	const struct zone_node *wildcard = indexed_node_at(check, node->wildcard);

	return wildcard && wildcard->name_length == node->name_length + 2 &&
	       memcmp(zone_node_name(wildcard), "\1*", 2) == 0 && is_below(wildcard, node);
}

static bool image_redirects(const struct zone_extent *check, const struct zone_node *node,
			    const struct zone_image *image, uint16_t type)
{
	uint64_t at = (uint64_t)((const char *)image - (const char *)check->arena);

	return zone_check_answer(check, (uint32_t)(at / ZONE_UNIT), node->name_length, type);
}

/* At a cut there would be a referral instead. */
static bool redirects_soundly(const struct zone_extent *check, const struct zone_node *node)
{
	const struct zone_arena *arena = check->arena;

	if (!(node->flags & (ZONE_NODE_ALIAS | ZONE_NODE_DNAME)))
		return true;
	if (node->flags & ZONE_NODE_CUT)
		return false;
	if (node->flags & ZONE_NODE_DNAME &&
	    !image_redirects(check, node, zone_image(arena, node, TYPE_DNAME), TYPE_DNAME))
		return false;
	return !(node->flags & ZONE_NODE_ALIAS) ||
	       image_redirects(check, node, zone_at(arena, node->fallback), TYPE_CNAME);
}

/* An alias and a cut have images for every type. */
static bool choices_are_allowed(const struct zone_extent *check, const struct zone_node *node)
{
	if (!(node->flags & ZONE_NODE_GEO))
		return true;
	return check->choice &&
	       !(node->flags & (ZONE_NODE_CUT | ZONE_NODE_ALIAS | ZONE_NODE_DNAME));
}

/* What a node has for a type, or for all others. */
static bool entry_is_sound(const struct zone_extent *check, const struct zone_node *node,
			   uint32_t offset, bool choice)
{
	/* Without the first flag the others are not looked at, and it is an image. */
	if (node->flags & ZONE_NODE_GEO && choice)
		return check->choice(check, offset);
	/* The zone's own NODATA image was checked before. */
	if (offset == check->arena->nodata)
		return true;
	/* A name that exists must not get NXDOMAIN: there would be no encloser to prove it with. */
	return offset != check->arena->nxdomain &&
	       zone_check_answer(check, offset, node->name_length, 0);
}

static bool node_is_sound(const struct zone_extent *check, uint32_t offset)
{
	/* It is a node: the first pass over the table checked that. */
	const struct zone_node *node = zone_at(check->arena, offset), *apex;
	const struct zone_type *types = (const struct zone_type *)(node + 1);
	const struct zone_arena *zone = check->arena;

	apex = zone_at(zone, zone->apex);
	if (!is_below(node, apex) || !choices_are_allowed(check, node))
		return false;
	for (uint32_t i = 0; i < node->type_count; i++)
		if (!entry_is_sound(check, node, types[i].image, types[i].flags & ZONE_TYPE_CHOICE))
			return false;
	if (!entry_is_sound(check, node, node->fallback, node->flags & ZONE_NODE_CHOICE))
		return false;
	return redirects_soundly(check, node) &&
	       (!node->wildcard || wildcard_is_sound(check, node)) &&
	       (!zone->chain || denial_is_sound(check, node, offset));
}

/* The nodes of a bucket can be anywhere: prefetched while the previous ones are checked. */
static void prefetch_nodes(const struct zone_extent *check, const struct zone_bucket *bucket)
{
	for (uint32_t slot = 0; slot < ZONE_SLOTS; slot++) {
		uint64_t at = (uint64_t)bucket->node[slot] * ZONE_UNIT;
		const char *node = (const char *)check->arena + at;

		if (at + 2 * 64 > check->end)
			continue;
		__builtin_prefetch(node);
		__builtin_prefetch(node + 64);
	}
}

static bool table_is_sound(const struct zone_extent *check,
			   bool (*sound)(const struct zone_extent *, uint32_t))
{
	const struct zone_bucket *table = zone_table(check->arena);
	uint32_t buckets = check->arena->buckets;

	for (uint32_t i = 0; i < buckets; i++) {
		if (i + 1 < buckets)
			prefetch_nodes(check, &table[i + 1]);
		for (uint32_t slot = 0; slot < ZONE_SLOTS; slot++)
			if (table[i].tag[slot] && !sound(check, table[i].node[slot]))
				return false;
	}
	return true;
}

static bool is_node(const struct zone_extent *check, uint32_t offset)
{
	return node_at(check, offset);
}

/* A probe for a missing name ends at a bucket with room. */
static bool has_room(const struct zone_arena *arena)
{
	const struct zone_bucket *table = zone_table(arena);

	for (uint32_t i = 0; i < arena->buckets; i++)
		if (!table[i].tag[ZONE_SLOTS - 1])
			return true;
	return false;
}

int zone_check(const void *base, size_t size, zone_check_choice *choice)
{
	struct zone_extent check = {.arena = base, .choice = choice};
	const struct zone_arena *zone = base;
	const struct zone_node *apex;

	if (zone_open(base, size) != 0 || !has_room(base))
		return -1;
	zone_check_extent(&check);
	/* First what lookups read: the other checks use lookups. */
	if (!table_is_sound(&check, is_node))
		return -1;
	apex = indexed_node_at(&check, zone->apex);
	if (!apex)
		return -1;
	if (!zone_check_answer(&check, zone->nodata, apex->name_length, 0) ||
	    !zone_check_answer(&check, zone->nxdomain, apex->name_length, 0) ||
	    !chain_is_sound(&check))
		return -1;
	return table_is_sound(&check, node_is_sound) ? 0 : -1;
}
