// SPDX-License-Identifier: Apache-2.0
#include "geo/table.h"

#define NONE UINT32_MAX

/* Slots that wait, linked through `other`. */
static void push(struct geo_slot *slot, uint32_t index, uint32_t *list)
{
	slot->other = *list;
	*list = index;
}

static struct geo_slot *pop(void *slots, uint32_t stride, uint32_t *list)
{
	struct geo_slot *slot = geo_slot_at(slots, stride, *list);

	*list = slot->other;
	return slot;
}

/* `keep` becomes each one's share of all draws; those with less than a slot's wait in `small`. */
static void share_out(const struct geo_table *table, void *slots, const uint64_t *prefix,
		      uint32_t *small, uint32_t *large)
{
	for (uint32_t i = table->weighted; i--;) {
		struct geo_slot *slot = geo_slot_at(slots, table->stride, i);

		slot->keep = (prefix[i + 1] - prefix[i]) * table->weighted;
		push(slot, i, slot->keep < table->total ? small : large);
	}
}

void geo_table_weigh(struct geo_table *table, void *slots, const uint64_t *prefix)
{
	uint32_t small = NONE, large = NONE, stride = table->stride;
	uint64_t product;

	share_out(table, slots, prefix, &small, &large);
	/* A slot with too little is filled up by one with too much. All sums are exact, so both
	 * lists end together, but for those that have exactly enough. */
	while (small != NONE) {
		struct geo_slot *low = pop(slots, stride, &small);
		struct geo_slot *high = geo_slot_at(slots, stride, large);
		uint32_t index = large;

		low->other = index;
		high->keep -= table->total - low->keep;
		if (high->keep < table->total) {
			pop(slots, stride, &large);
			push(high, index, &small);
		}
	}
	while (large != NONE) {
		uint32_t index = large;

		pop(slots, stride, &large)->other = index;
	}
	if (__builtin_mul_overflow(table->total, (uint64_t)table->weighted, &product))
		table->flags |= GEO_TABLE_WIDE;
	else
		table->rejected = -product % product;
}
