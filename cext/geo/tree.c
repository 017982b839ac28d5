// SPDX-License-Identifier: Apache-2.0
#include "geo/tree.h"

#include <stddef.h>

#include "base/bytes.h"

/* The levels of a tree: the bits of an IPv6 address. */
#define LEVELS_MAX 128

/* A second child that waits, and where its network starts. */
struct waiting {
	uint64_t start;
	uint32_t node;
	uint32_t bits; /* that are left below it */
};

static uint32_t load_be24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

uint32_t geo_tree_child(const struct geo_tree *tree, uint32_t node, uint32_t second)
{
	const uint8_t *p = tree->node + (uint64_t)node * (tree->record_bits / 4);

	if (tree->record_bits == 24)
		return load_be24(p + 3 * second);
	if (tree->record_bits == 32)
		return load_be32(p + 4 * second);
	/* The byte in the middle has the first bits of both. */
	if (second)
		return (uint32_t)(p[3] & 15) << 24 | load_be24(p + 4);
	return (uint32_t)(p[3] >> 4) << 24 | load_be24(p);
}

/* What the first address of a node's network has; GEO_TREE_ENDLESS if nothing ends it. */
static int64_t first_leaf(const struct geo_tree *tree, const struct geo_subtree *part,
			  uint32_t node)
{
	for (uint32_t level = 0; level < LEVELS_MAX; level++) {
		if (node >= tree->nodes || node == part->skipped)
			return node;
		node = geo_tree_child(tree, node, 0);
	}
	return GEO_TREE_ENDLESS;
}

static void put_start(void *start, uint32_t bits, int64_t at, uint64_t value)
{
	if (bits == 32)
		((uint32_t *)start)[at] = (uint32_t)value;
	else
		((uint64_t *)start)[at] = value;
}

int64_t geo_tree_walk(const struct geo_tree *tree, const struct geo_subtree *part, uint32_t most,
		      void *start, uint32_t *record)
{
	struct waiting stack[66] = {{0, part->root, part->bits}}, now;
	uint32_t depth = 1, last = 0, found;
	int64_t count = 0, leaf;

	for (uint32_t left = most; depth; left--) {
		if (!left)
			return GEO_TREE_LARGE;
		now = stack[--depth];
		while (now.bits && now.node < tree->nodes && now.node != part->skipped) {
			now.bits--;
			stack[depth++] = (struct waiting){
				now.start | 1ull << now.bits,
				geo_tree_child(tree, now.node, 1),
				now.bits,
			};
			now.node = geo_tree_child(tree, now.node, 0);
		}
		leaf = first_leaf(tree, part, now.node);
		if (leaf < 0)
			return leaf;
		found = leaf < tree->nodes ? 0 : (uint32_t)leaf - tree->nodes;
		if (count && found == last)
			continue;
		last = found;
		if (start) {
			put_start(start, part->bits, count, now.start);
			record[count] = found;
		}
		count++;
	}
	return count;
}

static uint32_t value_of(const uint32_t *key, const uint32_t *value, uint32_t keys, uint32_t wanted)
{
	uint32_t at = 0;

	for (uint32_t left = keys, half; left > 1; left -= half) {
		half = left / 2;
		at += half & -(uint32_t)(key[at + half] <= wanted);
	}
	return value[at];
}

uint32_t geo_translate(void *start, uint32_t bits, uint32_t *record, uint32_t count,
		       const uint32_t *key, const uint32_t *value, uint32_t keys)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		const uint32_t found = value_of(key, value, keys, record[i]);

		if (kept && record[kept - 1] == found)
			continue;
		record[kept] = found;
		put_start(start, bits, kept++,
			  bits == 32 ? ((uint32_t *)start)[i] : ((uint64_t *)start)[i]);
	}
	return kept;
}
