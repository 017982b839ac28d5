/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search tree of a MaxMind database (https://maxmind.github.io/MaxMind-DB/), as ranges.
 * Whatever its bytes are, a walk ends, and reads nothing outside of it. Not for answering threads.
 */
#ifndef XDPKIT_GEO_TREE_H
#define XDPKIT_GEO_TREE_H

#include <stdint.h>

/* Both records of each node follow each other, of 24, 28 or 32 bits. */
struct geo_tree {
	const uint8_t *node;
	uint32_t nodes;
	uint32_t record_bits;
};

/* A part of it: below a node, whose network's addresses have `bits` more bits, 32 or 64. */
struct geo_subtree {
	uint32_t root;
	uint32_t bits;
	uint32_t skipped; /* a node that counts as having no data; the number of nodes: none */
};

/* What geo_tree_walk() returns instead of a count. */
#define GEO_TREE_ENDLESS (-1)
#define GEO_TREE_LARGE   (-2)

/*
 * The leaves in the order of addresses, and how many: from each start on, the record minus the
 * number of nodes, 0 for no data; neighbors have different ones. Networks with more bits count by
 * their first address. `start` is uint32_t or uint64_t[], by `bits`; NULL: they are only counted.
 * Ends with GEO_TREE_LARGE at more than `most` networks.
 */
int64_t geo_tree_walk(const struct geo_tree *tree, const struct geo_subtree *part, uint32_t most,
		      void *start, uint32_t *record);

/* A node's record, the first or the second. */
uint32_t geo_tree_child(const struct geo_tree *tree, uint32_t node, uint32_t second);

/*
 * Replaces records by what they are: `key` has them all in ascending order, `value` what each is.
 * Neighbors that become the same are one range then; returns how many are left.
 */
uint32_t geo_translate(void *start, uint32_t bits, uint32_t *record, uint32_t count,
		       const uint32_t *key, const uint32_t *value, uint32_t keys);

#endif
