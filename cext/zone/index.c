// SPDX-License-Identifier: Apache-2.0
#include "zone/index.h"

#include "admit/tags.h"
#include "zone/table.h"

static uint16_t tag_of(uint64_t hash)
{
	return (uint16_t)(hash | 1);
}

void zone_index_add(struct zone_index_bucket *table, uint32_t buckets, uint64_t hash,
		    const struct zone_node *node)
{
	struct zone_index_bucket *bucket = &table[table_bucket(buckets, hash)];
	uint64_t address = (uintptr_t)node;

	if (address >> 48)
		return;
	for (uint32_t slot = 0; slot < ZONE_INDEX_SLOTS; slot++) {
		if (bucket->tag[slot])
			continue;
		bucket->tag[slot] = tag_of(hash);
		bucket->high[slot] = (uint16_t)(address >> 32);
		bucket->low[slot] = (uint32_t)address | !!(node->flags & ZONE_NODE_GEO);
		return;
	}
}

const struct zone_node *zone_index_find(const struct zone_index_bucket *bucket, uint64_t hash,
					bool *has_choices)
{
	uint32_t hits = tags16_equal(bucket->tag, tag_of(hash)), slot;

	if (!hits)
		return NULL;
	slot = (uint32_t)__builtin_ctz(hits);
	*has_choices = bucket->low[slot] & 1;
	return (const struct zone_node *)(uintptr_t)((uint64_t)bucket->high[slot] << 32 |
						     (bucket->low[slot] & ~1u));
}
