/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zones that are served, by name: finds the zone of a question, the one with the longest name
 * that is at or above it, in one probe for each number of labels that a zone's name has.
 *
 *   zone_directory | zone_bucket[buckets] | zone_served, name ... |
 * zone_index_bucket[index_buckets]
 *
 * Built by the control plane from arenas that it keeps alive, published as part of a snapshot and
 * never written after that: any number of threads may read. A batch uses one snapshot, so no answer
 * comes from two versions of a zone.
 */
#ifndef XDPKIT_ZONE_DIRECTORY_H
#define XDPKIT_ZONE_DIRECTORY_H

#include "zone/index.h"
#include "zone/zone.h"

struct geo_serving; /* geo/serving.h */

/* Of so many zones with choices the index has the names; those of others are found in the zone. */
#define ZONE_INDEX_GEO 4

struct zone_directory {
	uint64_t seed;            /* of the name hash, random */
	uint64_t label_counts[2]; /* bit n: the name of a zone has n labels */
	uint64_t end;             /* bytes used so far, while it is built */
	uint32_t buckets;         /* at least one of them is not full */
	uint32_t only;            /* where the zone is if there is one, else 0; in ZONE_UNITs */
	uint64_t index;           /* where the index is, bytes */
	uint32_t index_buckets;   /* 0: there is none */
	uint32_t names;           /* that the index has room for */
	uint32_t geo_zones;       /* in `geo`: the first ones with choices */
	uint32_t counted;         /* few enough zones that each has a count of its own */
	struct {
		const struct zone_arena *arena;
		const struct geo_serving *serving;
	} geo[ZONE_INDEX_GEO];
};

/* Zones whose queries are counted one by one, at most: reading an arena's slot costs a cache miss,
 * where there are many; and a metric for each of 10,000 helps nobody. */
#define ZONE_COUNTED_MAX 100

_Static_assert(sizeof(struct zone_directory) == 128, "the table begins a cache line");

/* A zone; its name, lower-cased and zero-padded, follows. It begins a cache line. */
struct zone_served {
	const struct zone_arena *arena; /* NULL: it could not be loaded */
	const struct geo_serving *geo;  /* of an arena with choices, else NULL */
	uint64_t seed;                  /* the arena's, so that finding a name in it waits less */
	uint32_t buckets;
	uint16_t length;   /* of the name, bytes */
	bool is_nested_in; /* another zone's name is below it */
};

/* Bytes that a zone takes in a directory, by those of its name. */
static inline size_t zone_served_size(uint32_t length)
{
	return (sizeof(struct zone_served) + length + 63) & ~(size_t)63;
}

/* Bytes of a directory of `count` zones that take `zones` bytes, with an index of `names`. */
size_t zone_directory_size(uint32_t count, size_t zones, uint32_t names);

/* Begins a directory in zeroed, 64-byte aligned memory of that size. */
void zone_directory_begin(struct zone_directory *directory, uint32_t count, uint32_t names,
			  uint64_t seed);

/*
 * Adds a zone by its lower-cased wire name; -1 if there is one of that name. An arena with choices
 * has `geo`, which lives as long.
 */
int zone_directory_add(struct zone_directory *directory, const uint8_t *name, uint32_t length,
		       const struct zone_arena *arena, const struct geo_serving *geo);

/* Completes a directory that has all its zones: makes the index. */
void zone_directory_end(struct zone_directory *directory);

/* The zone of a name, or NULL. With `above`, the one that the name's parent is in. */
const struct zone_served *zone_directory_find(const struct zone_directory *directory,
					      const struct zone_name *name, bool above);

/* What an arena that has names in the index is served with, or NULL if it has no choices. */
static inline const struct geo_serving *zone_directory_geo(const struct zone_directory *directory,
							   const struct zone_arena *arena)
{
	for (uint32_t i = 0; i < directory->geo_zones; i++)
		if (directory->geo[i].arena == arena)
			return directory->geo[i].serving;
	return NULL;
}

/*
 * The zone that answers a question, or NULL. For DS at the name of a zone, that is the zone above,
 * if there is one: RFC 4035 section 3.1.4.1.
 */
const struct zone_served *zone_directory_answering(const struct zone_directory *directory,
						   const struct zone_name *name, uint16_t type);

/*
 * A search for the zone and the node of a name in steps. Each finds in the cache what the one
 * before has prefetched, so a batch of searches waits for memory once for a step, not for each.
 */
struct zone_search {
	const struct zone_served *zone; /* the result, or NULL; before the last step a candidate */
	const struct zone_node *node;   /* from the index: likely the name's; `zone` is not set */
	const struct zone_bucket *bucket; /* for the last step: where the node is sought */
	const struct geo_serving *geo;    /* the zone's, or one that likely has the same view */
	uint16_t at;                      /* where in the name the suffix begins that is tried */
	uint8_t labels;                   /* of that suffix */
	uint8_t step;
};

/* Begins a search; zone_search_step() must then be called until it returns false. */
void zone_search_begin(struct zone_search *search, const struct zone_directory *directory,
		       struct zone_name *name);

/*
 * False when the search is over. Then `search->node`, prefetched, is not NULL, and if it has the
 * name, it is the node; if not, zone_directory_lookup() finds it. Or `search->zone` is the zone of
 * the name, which is hashed for that zone, and its node is prefetched.
 */
bool zone_search_step(struct zone_search *search, const struct zone_directory *directory,
		      struct zone_name *name);

enum zone_located {
	ZONE_LOCATED,
	ZONE_ELSEWHERE, /* the name is not in any zone */
	ZONE_NOT_LOADED,
};

/*
 * Looks up a name, which it hashes for the zone where it is, and a type. For DS at the name of a
 * zone, that is the zone above, if there is one: RFC 4035 section 3.1.4.1.
 */
enum zone_located zone_directory_lookup(const struct zone_directory *directory,
					struct zone_name *name, uint16_t type,
					struct zone_lookup *lookup);

#endif
