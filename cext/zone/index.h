/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of all small zones in one table: with thousands of zones, a name is found at once, not
 * after its zone. What is not in it, such as a name that does not exist, is searched for by zone.
 *
 * Built with the directory of zones (zone/directory.h), which it is a part of.
 */
#ifndef XDPKIT_ZONE_INDEX_H
#define XDPKIT_ZONE_INDEX_H

#include <stdint.h>

#include "zone/zone.h"

#define ZONE_INDEX_SLOTS 8

/* Average names per bucket: 16 bytes a name, and 1 in 200 finds its bucket full. */
#define ZONE_INDEX_FILL 4

/*
 * Zones of more nodes find their names themselves: the index is built again for every change. The
 * zone of an NTP pool, with its countries and vendors, has 2,500.
 */
#define ZONE_INDEX_NODES 4096

/* With more names there is no index; so many are entered in 0.1 s. */
#define ZONE_INDEX_MAX (1u << 20)

/*
 * One cache line. Tags are odd, of an empty slot 0. A node's address has 48 bits, of which the
 * lowest, which is 0, says that the node has choices.
 */
struct zone_index_bucket {
	uint16_t tag[ZONE_INDEX_SLOTS];
	uint16_t high[ZONE_INDEX_SLOTS];
	uint32_t low[ZONE_INDEX_SLOTS];
};

_Static_assert(sizeof(struct zone_index_bucket) == 64, "one cache line");

/* The names of a zone that the index may have. */
static inline uint32_t zone_index_names(const struct zone_arena *arena)
{
	return arena->node_count <= ZONE_INDEX_NODES ? arena->node_count : 0;
}

/* The buckets of an index of so many names; 0 for none. */
static inline uint32_t zone_index_buckets(uint32_t names)
{
	return names && names <= ZONE_INDEX_MAX ? names / ZONE_INDEX_FILL + 1 : 0;
}

/* Enters a node, unless its bucket is full. `buckets` is not 0; the table was zeroed. */
void zone_index_add(struct zone_index_bucket *table, uint32_t buckets, uint64_t hash,
		    const struct zone_node *node);

/* A node with the tag of this hash: likely the one with the name. Or NULL. */
const struct zone_node *zone_index_find(const struct zone_index_bucket *bucket, uint64_t hash,
					bool *has_choices);

#endif
