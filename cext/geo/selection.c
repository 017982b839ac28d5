// SPDX-License-Identifier: Apache-2.0
#include "geo/selection.h"

#include <string.h>

#include "base/bytes.h"
#include "dns/wire.h"

#define OWNER 2 /* bytes: a pointer */

#define TYPE_A    1
#define TYPE_AAAA 28

#define OPTION_STRIDE 16

/* A selection being built. */
struct builder {
	const struct zone_arena *arena;
	const uint8_t *states;
	bool ignores; /* answer_all_unhealthy */
	uint8_t *base;
	uint64_t end;    /* of what is used */
	uint32_t tables; /* that are used */
};

static uint32_t stride_of(uint32_t data)
{
	return (GEO_SLOT_DATA + data + 7) / 8 * 8;
}

/* Bytes of a record's data in a slot: see struct geo_table. */
static uint32_t data_of(const struct geo_draw *draw)
{
	return draw->size ? draw->size - OWNER - RR_FIXED : (uint32_t)sizeof(struct geo_record);
}

static uint64_t prefix_size(uint64_t count)
{
	return (count + 1) * sizeof(uint64_t);
}

/* Room for the sums of a table that may be short. */
static uint32_t sums_size(uint32_t weighted)
{
	return weighted && weighted <= GEO_LANES_MAX ? geo_sums_size(weighted) : 0;
}

static const uint32_t *words_at(const struct zone_arena *arena, uint32_t offset)
{
	return offset ? zone_at(arena, offset) : NULL;
}

/* -------------------------------------------------------------------------------------------- */

static size_t draw_size(const struct zone_arena *arena, const struct geo_draw *draw)
{
	size_t size = (size_t)draw->count * stride_of(data_of(draw)) + prefix_size(draw->count);

	size += sums_size(draw->count < GEO_LANES_MAX ? draw->count : GEO_LANES_MAX);

	/* All of its records, copied; the end is that of the last one. */
	if (!draw->size)
		size += (words_at(arena, draw->ends)[draw->count - 1] + 7ull) / 8 * 8;
	return size;
}

/* The most options that a step of a variant has; at most one step has a table of them. */
static size_t options_of(const struct zone_arena *arena, const struct geo_variant *variant)
{
	const struct geo_step *step = zone_at(arena, variant->step);
	size_t most = 0;

	for (uint32_t i = 0; i < variant->steps; i++)
		if (step[i].kind != GEO_DRAW && step[i].count > most)
			most = step[i].count;
	return most;
}

/* Of all tables, those of options included. */
static size_t tables_of(const struct zone_arena *arena)
{
	const struct geo_zone *zone = geo_zone_of(arena);
	const struct geo_variant *variant = zone_at(arena, zone->variant);
	size_t tables = zone->draws;

	for (uint32_t i = 0; i < zone->variants; i++)
		tables += options_of(arena, &variant[i]) > 1;
	return tables;
}

/* Where tables begin, a cache line. */
static size_t tables_at(const struct geo_zone *zone)
{
	return sizeof(struct geo_selection) +
	       (zone->variants * sizeof(struct geo_entry) + GEO_SELECTION_ALIGN - 1) /
		       GEO_SELECTION_ALIGN * GEO_SELECTION_ALIGN;
}

size_t geo_selection_size(const struct zone_arena *arena)
{
	const struct geo_zone *zone = geo_zone_of(arena);
	const struct geo_variant *variant = zone_at(arena, zone->variant);
	const struct geo_draw *draw = zone_at(arena, zone->draw);
	size_t size = tables_at(zone) + tables_of(arena) * sizeof(struct geo_table), options;

	for (uint32_t i = 0; i < zone->draws; i++)
		size += draw_size(arena, &draw[i]);
	for (uint32_t i = 0; i < zone->variants; i++) {
		options = options_of(arena, &variant[i]);
		if (options > 1)
			size += options * OPTION_STRIDE + prefix_size(options);
	}
	return size;
}

/* -------------------------------------------------------------------------------------------- */

static bool is_healthy(const struct builder *b, const uint32_t *status, uint32_t index)
{
	return !status || !status[index] || b->states[status[index] - 1] == GEO_HEALTHY;
}

/* A draw's records, of which some are left. */
struct records {
	const struct builder *b;
	const struct geo_draw *draw;
	const uint8_t *bytes;
	const uint32_t *ends, *weight, *status; /* status NULL: all are left */
};

/* What is left of them. */
struct left {
	uint32_t count;
	uint32_t weighted;
};

static uint32_t weight_of(const struct records *records, uint32_t index)
{
	return records->weight ? records->weight[index] : 1;
}

static struct left count_left(const struct records *records)
{
	struct left left = {0};

	for (uint32_t i = 0; i < records->draw->count; i++)
		if (is_healthy(records->b, records->status, i)) {
			left.count++;
			left.weighted += weight_of(records, i) != 0;
		}
	return left;
}

/* Puts a record into a slot, a record of any length also at `*at` behind the slots. */
static void put_record(const struct records *records, struct geo_table *table, uint32_t index,
		       uint32_t slot, uint32_t *at)
{
	uint8_t *slots = records->b->base + table->slots;
	uint8_t *data = geo_slot_at(slots, table->stride, slot)->data;
	struct geo_record record = {.at = *at};
	const uint8_t *from;

	if (table->length) {
		from = records->bytes + (size_t)index * records->draw->size;
		memcpy(data, from + OWNER + RR_FIXED, table->length);
		return;
	}
	from = records->bytes + (index ? records->ends[index - 1] : 0);
	record.length = (uint32_t)(records->bytes + records->ends[index] - from);
	memcpy(data, &record, sizeof record);
	memcpy(slots + (size_t)table->count * table->stride + *at, from, record.length);
	*at += record.length;
	if (record.length < table->least)
		table->least = (uint16_t)record.length;
}

/* Those with a weight first, then those without, which count as 1. Returns where records end. */
static uint32_t fill(const struct records *records, struct geo_table *table, bool equal)
{
	uint64_t *prefix = (uint64_t *)(records->b->base + table->prefix);
	uint32_t first = 0, last = table->weighted, at = 0;

	for (uint32_t i = 0; i < records->draw->count; i++) {
		uint32_t weight = equal ? 1 : weight_of(records, i), slot;

		if (!is_healthy(records->b, records->status, i))
			continue;
		slot = weight || table->flags & GEO_TABLE_ORDERED ? first++ : last++;
		prefix[slot + 1] = weight ? weight : 1;
		put_record(records, table, i, slot, &at);
	}
	prefix[0] = 0;
	for (uint32_t i = 0; i < table->count; i++)
		prefix[i + 1] += prefix[i];
	return at;
}

/* Of a short table, whose weights fit lanes. */
static void fill_sums(const struct geo_table *table, uint8_t *base)
{
	const uint64_t *prefix = (const uint64_t *)(base + table->prefix);
	int32_t *sums = (int32_t *)(base + table->prefix - geo_sums_size(table->weighted));
	uint32_t lanes = geo_lanes(table->weighted);

	for (uint32_t i = 0; i <= lanes; i++)
		sums[i] = i <= table->weighted ? (int32_t)prefix[i] : INT32_MAX;
	sums[lanes + 1] = INT32_MAX;
}

/* Rules of resolve.py and model.py's draw_weights. */
static void build_draw(struct builder *b, const struct geo_draw *draw, struct geo_table *table)
{
	struct records records = {
		.b = b,
		.draw = draw,
		.bytes = zone_at(b->arena, draw->record),
		.ends = words_at(b->arena, draw->ends),
		.weight = words_at(b->arena, draw->weight),
		.status = words_at(b->arena, draw->status),
	};
	struct left left = count_left(&records);
	bool equal = false;

	if (!left.count && b->ignores) {
		records.status = NULL;
		left = count_left(&records);
		table->flags = GEO_TABLE_UNHEALTHY;
	}
	if (!left.count)
		return;
	table->count = left.count;
	table->weighted = left.weighted;
	table->hosts = draw->hosts < left.count ? draw->hosts : left.count;
	if (draw->hosts == GEO_ALL || !left.weighted) {
		equal = draw->hosts != GEO_ALL &&
			(draw->type == TYPE_A || draw->type == TYPE_AAAA ||
			 draw->type == TYPE_CNAME);
		if (!equal) {
			table->flags |= GEO_TABLE_ORDERED;
			table->hosts = left.count;
		}
		table->weighted = equal ? left.count : 0;
	}
	table->length = (uint16_t)(draw->size ? data_of(draw) : 0);
	table->least = (uint16_t)(draw->size ? draw->size : UINT16_MAX);
	table->stride = (uint16_t)stride_of(data_of(draw));
	memcpy(table->head, records.bytes, sizeof table->head);
	table->prefix = b->end + sums_size(table->weighted);
	table->slots = table->prefix + prefix_size(left.count);
	b->end = table->slots + (uint64_t)left.count * table->stride;
	b->end += (fill(&records, table, equal) + 7ull) / 8 * 8;
	if (table->weighted) {
		const uint64_t *prefix = (const uint64_t *)(b->base + table->prefix);

		table->total = prefix[table->weighted];
		geo_table_weigh(table, b->base + table->slots, prefix);
	}
	if (sums_size(table->weighted) && table->total <= INT32_MAX) {
		table->flags |= GEO_TABLE_SHORT;
		fill_sums(table, b->base);
	}
}

/* -------------------------------------------------------------------------------------------- */

static struct geo_entry *entry_at(const struct builder *b, uint32_t index)
{
	return (struct geo_entry *)(b->base + sizeof(struct geo_selection)) + index;
}

static struct geo_table *table_at(const struct builder *b, uint32_t index)
{
	const struct geo_selection *selection = (const struct geo_selection *)b->base;

	return (struct geo_table *)(b->base + selection->table) + index;
}

/* Whether an option yields anything; `all`: healthy or not. */
static bool yields(const struct builder *b, const struct geo_step *step,
		   const struct geo_option *option, bool all)
{
	const struct geo_entry *entry;

	if (step->kind == GEO_IMAGES)
		return all || is_healthy(b, &option->status, 0);
	entry = entry_at(b, option->to);
	return entry->kind != GEO_ENTRY_NOTHING && (all || !entry->unhealthy);
}

/* A step's options that are left: all that yield if none of those has a weight. */
struct options {
	uint32_t count;
	uint32_t last; /* index of the last */
	bool equal;    /* each counts as 1 */
};

static struct options options_left(const struct builder *b, const struct geo_step *step, bool all)
{
	const struct geo_option *option = zone_at(b->arena, step->at);
	struct options left = {.equal = true};

	for (uint32_t i = 0; i < step->count; i++) {
		if (!yields(b, step, &option[i], all) || (!left.equal && !option[i].weight))
			continue;
		if (left.equal && option[i].weight) {
			left.equal = false;
			left.count = 0;
		}
		left.count++;
		left.last = i;
	}
	return left;
}

/* The table of the options that are left, more than one. */
static uint32_t build_options(struct builder *b, const struct geo_step *step,
			      const struct options *left, bool all)
{
	const struct geo_option *option = zone_at(b->arena, step->at);
	struct geo_table *table = table_at(b, b->tables);
	uint64_t *prefix = (uint64_t *)(b->base + b->end);
	uint32_t slot = 0;

	*table = (struct geo_table){
		.prefix = b->end,
		.slots = b->end + prefix_size(left->count),
		.count = left->count,
		.weighted = left->count,
		.hosts = 1,
		.stride = OPTION_STRIDE,
		.length = sizeof(uint32_t),
	};
	b->end = table->slots + (uint64_t)left->count * OPTION_STRIDE;
	prefix[0] = 0;
	for (uint32_t i = 0; i < step->count; i++) {
		if (!yields(b, step, &option[i], all) || (!left->equal && !option[i].weight))
			continue;
		memcpy(geo_slot_at(b->base + table->slots, OPTION_STRIDE, slot)->data,
		       &option[i].to, sizeof option[i].to);
		prefix[slot + 1] = prefix[slot] + (left->equal ? 1 : option[i].weight);
		slot++;
	}
	table->total = prefix[slot];
	geo_table_weigh(table, b->base + table->slots, prefix);
	return b->tables++;
}

/* What a step yields. */
static struct geo_entry step_entry(struct builder *b, const struct geo_step *step, bool all)
{
	const struct geo_option *option;
	struct geo_entry entry = {0};
	struct options left;

	if (step->kind == GEO_DRAW) {
		const struct geo_table *table = table_at(b, step->at);

		if (table->count && (all || !(table->flags & GEO_TABLE_UNHEALTHY)))
			entry.kind = GEO_ENTRY_RECORDS;
		entry.at = step->at;
		return entry;
	}
	option = zone_at(b->arena, step->at);
	left = options_left(b, step, all);
	if (!left.count)
		return entry;
	if (left.count == 1 && step->kind == GEO_VARIANTS)
		return *entry_at(b, option[left.last].to);
	entry.kind = step->kind == GEO_IMAGES ? GEO_ENTRY_IMAGES : GEO_ENTRY_VARIANTS;
	if (left.count > 1) {
		entry.at = build_options(b, step, &left, all);
	} else {
		entry.kind = GEO_ENTRY_IMAGE;
		entry.at = option[left.last].to;
	}
	return entry;
}

/* The first step that yields; `all`: healthy or not. */
static struct geo_entry first_entry(struct builder *b, const struct geo_variant *variant, bool all)
{
	const struct geo_step *step = zone_at(b->arena, variant->step);
	struct geo_entry entry = {0};

	for (uint32_t i = 0; i < variant->steps && entry.kind == GEO_ENTRY_NOTHING; i++)
		entry = step_entry(b, &step[i], all);
	if (all && entry.kind != GEO_ENTRY_NOTHING)
		entry.unhealthy = 1;
	return entry;
}

/* Draws of options in a row at most, whatever the states are. */
static uint32_t depth_of(const struct builder *b, const struct geo_variant *variant)
{
	const struct geo_step *step = zone_at(b->arena, variant->step);
	uint32_t depth = 0;

	for (uint32_t i = 0; i < variant->steps; i++) {
		const struct geo_option *option = zone_at(b->arena, step[i].at);
		uint32_t below = 0;

		if (step[i].kind == GEO_DRAW)
			continue;
		for (uint32_t n = 0; step[i].kind == GEO_VARIANTS && n < step[i].count; n++)
			if (entry_at(b, option[n].to)->depth > below)
				below = entry_at(b, option[n].to)->depth;
		below += step[i].count > 1;
		depth = below > depth ? below : depth;
	}
	return depth;
}

/* What the variant leads to has smaller indexes, and so is built. */
static int build_entry(struct builder *b, const struct geo_variant *variant, uint32_t index)
{
	struct geo_entry entry = first_entry(b, variant, false);
	uint32_t depth = depth_of(b, variant);

	if (entry.kind == GEO_ENTRY_NOTHING && b->ignores)
		entry = first_entry(b, variant, true);
	entry.depth = (uint8_t)depth;
	*entry_at(b, index) = entry;
	return depth <= GEO_DEPTH_MAX ? 0 : -1;
}

int geo_selection_build(void *base, const struct zone_arena *arena, const uint8_t *states,
			bool answer_all_unhealthy)
{
	const struct geo_zone *zone = geo_zone_of(arena);
	const struct geo_variant *variant = zone_at(arena, zone->variant);
	const struct geo_draw *draw = zone_at(arena, zone->draw);
	struct geo_selection *selection = base;
	struct builder b = {
		.arena = arena,
		.states = states,
		.ignores = answer_all_unhealthy,
		.base = base,
		.tables = zone->draws,
	};

	memset(selection, 0, sizeof *selection);
	selection->entries = zone->variants;
	selection->draws = zone->draws;
	selection->table = tables_at(zone);
	b.end = selection->table + tables_of(arena) * sizeof(struct geo_table);
	memset(table_at(&b, 0), 0, zone->draws * sizeof(struct geo_table));
	for (uint32_t i = 0; i < zone->draws; i++)
		build_draw(&b, &draw[i], table_at(&b, i));
	for (uint32_t i = 0; i < zone->variants; i++)
		if (build_entry(&b, &variant[i], i) != 0)
			return -1;
	selection->size = b.end;
	return 0;
}
