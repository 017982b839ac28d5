// SPDX-License-Identifier: Apache-2.0
#include "geo/draw.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "dns/wire.h"
#include "geo/draw_short.h"

#define OWNER 2 /* bytes: a pointer */
#define HEAD  (OWNER + RR_FIXED)

/* Most answers have fewer, and a small array. */
#define DRAWN_FEW 16

/* Then what is left is drawn from alone. */
#define TRIES 4

typedef unsigned __int128 uint128;

static const uint8_t *slots_of(const struct geo_selection *selection, const struct geo_table *table)
{
	return (const uint8_t *)selection + table->slots;
}

static const uint64_t *prefix_of(const struct geo_selection *selection,
				 const struct geo_table *table)
{
	return (const uint64_t *)((const uint8_t *)selection + table->prefix);
}

static const int32_t *sums_of(const struct geo_selection *selection, const struct geo_table *table)
{
	return (const int32_t *)((const uint8_t *)selection + table->prefix -
				 geo_sums_size(table->weighted));
}

/* One slot, by weight, in two numbers. */
static __attribute__((noinline)) uint32_t draw_wide(const struct geo_table *table,
						    const uint8_t *slots,
						    struct geo_generator *generator)
{
	uint64_t index = geo_generator_below(generator, table->weighted);
	const struct geo_slot *slot = (const struct geo_slot *)(slots + index * table->stride);

	return geo_generator_below(generator, table->total) < slot->keep ? (uint32_t)index
									 : slot->other;
}

/* By value: a generator whose address is taken does not stay in registers. */
struct drawn {
	uint32_t slot;
	struct geo_generator generator;
};

static __attribute__((noinline, cold)) struct drawn
draw_again(const struct geo_table *table, const uint8_t *slots, struct geo_generator generator)
{
	uint32_t slot = draw_wide(table, slots, &generator);

	return (struct drawn){slot, generator};
}

/*
 * One slot, by weight. A number below weighted * total is drawn without bias (Lemire 2019); its
 * quotient is the slot, its remainder a number below `total`, both without a division.
 */
static inline __attribute__((always_inline)) uint32_t draw_narrow(const struct geo_table *table,
								  const uint8_t *slots,
								  uint32_t stride,
								  struct geo_generator *generator)
{
	uint128 product = (uint128)geo_generator_next(generator) * table->weighted;
	uint64_t index = (uint64_t)(product >> 64);
	const struct geo_slot *slot = (const struct geo_slot *)(slots + index * stride);
	uint32_t is_other;

	product = (uint128)(uint64_t)product * table->total;
	if (__builtin_expect((uint64_t)product < table->rejected, 0)) {
		struct drawn drawn = draw_again(table, slots, *generator);

		*generator = drawn.generator;
		return drawn.slot;
	}
	is_other = -(uint32_t)((uint64_t)(product >> 64) >= slot->keep);
	/* No branch, which would often be mispredicted: compilers make one if they see what it is.
	 */
	__asm__("" : "+r"(is_other));
	return (uint32_t)index ^ (((uint32_t)index ^ slot->other) & is_other);
}

static inline uint32_t draw(const struct geo_table *table, const uint8_t *slots,
			    struct geo_generator *generator)
{
	return table->flags & GEO_TABLE_WIDE ? draw_wide(table, slots, generator)
					     : draw_narrow(table, slots, table->stride, generator);
}

/* -------------------------------------------------------------------------------------------- */

/*
 * Slots that are drawn from without what was drawn of them. `drawn` has those in ascending order,
 * `start` the weight that is left before each.
 */
struct rest {
	const uint64_t *prefix;
	uint32_t first, end; /* slots */
	uint64_t left;       /* their weight */
	uint32_t count;      /* that were drawn */
	uint32_t *drawn;
	uint64_t *start;
};

static uint64_t weight_at(const struct rest *rest, uint32_t slot)
{
	return rest->prefix[slot + 1] - rest->prefix[slot];
}

/* Takes a slot out, `place` being how many before it were. */
static void take(struct rest *rest, uint32_t slot, uint32_t place)
{
	uint32_t behind = rest->count - place, from = rest->first;
	uint64_t weight = weight_at(rest, slot), start = 0;

	if (place) {
		from = rest->drawn[place - 1] + 1;
		start = rest->start[place - 1];
	}
	start += rest->prefix[slot] - rest->prefix[from];
	memmove(rest->drawn + place + 1, rest->drawn + place, behind * sizeof *rest->drawn);
	memmove(rest->start + place + 1, rest->start + place, behind * sizeof *rest->start);
	for (uint32_t i = place + 1; i <= rest->count; i++)
		rest->start[i] -= weight;
	rest->drawn[place] = slot;
	rest->start[place] = start;
	rest->left -= weight;
	rest->count++;
}

static uint32_t place_of(const struct rest *rest, uint32_t slot)
{
	uint32_t low = 0, high = rest->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (rest->drawn[middle] < slot)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* One slot that was not drawn, by weight. */
static uint32_t draw_rest(struct rest *rest, struct geo_generator *generator)
{
	uint64_t at = geo_generator_below(generator, rest->left);
	uint32_t low = 0, high = rest->count, place;

	/* How many of those drawn are before it. */
	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (rest->start[middle] <= at)
			low = middle + 1;
		else
			high = middle;
	}
	place = low;
	/* Between those before it and the next. */
	low = rest->first;
	if (place) {
		low = rest->drawn[place - 1] + 1;
		at -= rest->start[place - 1];
	}
	at += rest->prefix[low];
	high = place < rest->count ? rest->drawn[place] : rest->end;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (rest->prefix[middle] <= at)
			low = middle;
		else
			high = middle;
	}
	take(rest, low, place);
	return low;
}

typedef void draw_more(const struct rest *of, struct geo_generator *generator, uint32_t *slot,
		       uint32_t have, uint32_t need);

/* Draws slots [first, end) until `need` are in `slot`, of which there are `have`. */
static inline __attribute__((always_inline)) void
draw_from_rest(const struct rest *of, struct geo_generator *generator, uint32_t *slot,
	       uint32_t have, uint32_t need, uint32_t *drawn, uint64_t *start)
{
	struct rest rest = *of;

	rest.drawn = drawn;
	rest.start = start;
	rest.left = rest.prefix[rest.end] - rest.prefix[rest.first];
	for (uint32_t i = 0; i < have; i++)
		take(&rest, slot[i], place_of(&rest, slot[i]));
	while (have < need)
		slot[have++] = draw_rest(&rest, generator);
}

static __attribute__((noinline)) void draw_few(const struct rest *of,
					       struct geo_generator *generator, uint32_t *slot,
					       uint32_t have, uint32_t need)
{
	uint32_t drawn[DRAWN_FEW];
	uint64_t start[DRAWN_FEW];

	draw_from_rest(of, generator, slot, have, need, drawn, start);
}

static __attribute__((noinline)) void draw_many(const struct rest *of,
						struct geo_generator *generator, uint32_t *slot,
						uint32_t have, uint32_t need)
{
	uint32_t drawn[GEO_HOSTS_MAX];
	uint64_t start[GEO_HOSTS_MAX];

	draw_from_rest(of, generator, slot, have, need, drawn, start);
}

static inline bool has(const uint32_t *slot, uint32_t count, uint32_t drawn)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < count; i++)
		found |= slot[i] == drawn;
	return found;
}

/* Leaves out what is there twice; returns how many are left. */
static uint32_t differing(uint32_t *slot, uint32_t count)
{
	uint32_t have = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t drawn = slot[i];

		slot[have] = drawn;
		have += !has(slot, have, drawn);
	}
	return have;
}

/* Draws until `need` slots that differ are there, of `have`. */
static __attribute__((noinline)) void draw_others(const struct geo_selection *selection,
						  const struct geo_table *table,
						  struct geo_generator *generator, uint32_t *slot,
						  uint32_t have, uint32_t need)
{
	uint32_t weighted = need < table->weighted ? need : table->weighted, tries = 0;
	struct rest rest = {.prefix = prefix_of(selection, table), .end = table->weighted};
	const uint8_t *slots = slots_of(selection, table);
	draw_more *more = need > DRAWN_FEW ? draw_many : draw_few;

	while (have < weighted && tries < TRIES) {
		uint32_t drawn = draw(table, slots, generator);
		bool is_new = !has(slot, have, drawn);

		slot[have] = drawn;
		have += is_new;
		tries = is_new ? 0 : tries + 1;
	}
	if (have < weighted)
		more(&rest, generator, slot, have, weighted);
	if (weighted < need) {
		rest.first = table->weighted;
		rest.end = table->count;
		more(&rest, generator, slot + weighted, 0, need - weighted);
	}
}

/* As many as most answers have at most. */
#define DRAWN_FOUR 4

typedef uint32_t four __attribute__((vector_size(16)));

/* Whether four slots differ: each is compared with each other. */
static inline __attribute__((always_inline)) bool all_differ(const uint32_t *slot)
{
	/* In registers: four stores would have to be waited for before one load has them. */
	four all = {slot[0], slot[1], slot[2], slot[3]}, next, same;
	uint64_t half[2];

	next = __builtin_shufflevector(all, all, 1, 2, 3, 0);
	same = (four)(all == next) | (four)(all == __builtin_shufflevector(all, all, 2, 3, 0, 1));
	memcpy(half, &same, sizeof half);
	return !(half[0] | half[1]);
}

/*
 * Draws `need` slots that differ, of a table that has them and is not wide: at first as if none
 * were drawn twice. Few are, unless few are left.
 */
static inline __attribute__((always_inline)) void
draw_as_new(const struct geo_selection *selection, const struct geo_table *table,
	    struct geo_generator *generator, uint32_t *slot, uint32_t need, uint32_t stride)
{
	const uint8_t *slots = slots_of(selection, table);
	struct geo_generator own = *generator;
	uint32_t have;

	if (table->flags & GEO_TABLE_SHORT) {
		geo_draw_short(table, sums_of(selection, table), generator, slot, need);
		return;
	}
#pragma GCC unroll 4
	for (uint32_t i = 0; i < need; i++)
		slot[i] = draw_narrow(table, slots, stride, &own);
	*generator = own;
	if (need == DRAWN_FOUR && all_differ(slot))
		return;
	have = differing(slot, need);
	if (have < need)
		draw_others(selection, table, generator, slot, have, need);
}

/* Draws `need` slots that differ. */
static inline __attribute__((always_inline)) void draw_slots(const struct geo_selection *selection,
							     const struct geo_table *table,
							     struct geo_generator *generator,
							     uint32_t *slot, uint32_t need)
{
	if (table->flags & GEO_TABLE_WIDE || need > table->weighted)
		draw_others(selection, table, generator, slot, 0, need);
	else
		draw_as_new(selection, table, generator, slot, need, table->stride);
}

/* -------------------------------------------------------------------------------------------- */

/* Where the records go. */
struct sink {
	uint8_t *to;
	uint32_t room;
	uint32_t owner;
};

/* Bytes of a slot with RDATA of this length. */
static inline uint32_t stride_of(uint32_t length)
{
	return (GEO_SLOT_DATA + length + 7) / 8 * 8;
}

/* Records whose RDATA have the same length; there is room. `slot` NULL: the first ones. */
static inline __attribute__((always_inline)) uint32_t
put_fixed(const struct geo_table *table, const uint8_t *slots, const uint32_t *slot,
	  uint32_t records, const struct sink *sink, uint32_t length)
{
	uint32_t stride = stride_of(length);
	uint16_t owner = __builtin_bswap16((uint16_t)(POINTER | sink->owner));
	uint8_t *to = sink->to;
	uint64_t head;
	uint32_t tail;

	/* In registers: what was just written in parts is slow to read as a whole. */
	memcpy(&head, table->head, sizeof head);
	memcpy(&tail, table->head + sizeof head, sizeof tail);
	head = (head & ~(uint64_t)UINT16_MAX) | owner;
	for (uint32_t i = 0; i < records; i++) {
		uint64_t index = slot ? slot[i] : i;

		memcpy(to, &head, sizeof head);
		memcpy(to + sizeof head, &tail, sizeof tail);
		memcpy(to + HEAD, slots + index * stride + GEO_SLOT_DATA, length);
		to += HEAD + length;
	}
	return (uint32_t)(to - sink->to);
}

/* Records of any length; 0 if they do not fit. */
static uint32_t put_whole(const struct geo_table *table, const uint8_t *slots, const uint32_t *slot,
			  uint32_t records, const struct sink *sink)
{
	const uint8_t *behind = slots + (uint64_t)table->count * table->stride;
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < records; i++) {
		uint64_t index = slot ? slot[i] : i;
		struct geo_record record;

		memcpy(&record, slots + index * table->stride + GEO_SLOT_DATA, sizeof record);
		if (record.length > sink->room - bytes)
			return 0;
		memcpy(sink->to + bytes, behind + record.at, record.length);
		store_be16(sink->to + bytes, (uint16_t)(POINTER | sink->owner));
		bytes += record.length;
	}
	return bytes;
}

static inline __attribute__((always_inline)) uint32_t put(const struct geo_selection *selection,
							  const struct geo_table *table,
							  const uint32_t *slot, uint32_t records,
							  const struct sink *sink)
{
	const uint8_t *slots = slots_of(selection, table);

	switch (table->length) {
	case 4: /* A */
		return put_fixed(table, slots, slot, records, sink, 4);
	case 16: /* AAAA */
		return put_fixed(table, slots, slot, records, sink, 16);
	case 0:
		return put_whole(table, slots, slot, records, sink);
	default:
		return put_fixed(table, slots, slot, records, sink, table->length);
	}
}

/* The first ones. */
static __attribute__((noinline)) uint32_t put_ordered(const struct geo_selection *selection,
						      const struct geo_table *table,
						      uint32_t records, const struct sink *sink)
{
	return put(selection, table, NULL, records, sink);
}

static __attribute__((noinline)) uint32_t put_many(const struct geo_selection *selection,
						   const struct geo_table *table,
						   struct geo_generator *generator,
						   const struct sink *sink)
{
	uint32_t slot[GEO_HOSTS_MAX];

	draw_slots(selection, table, generator, slot, table->hosts);
	return put(selection, table, slot, table->hosts, sink);
}

/* Four records whose RDATA have this length: what most answers are. */
static inline __attribute__((always_inline)) uint32_t
put_four(const struct geo_selection *selection, const struct geo_table *table,
	 struct geo_generator *generator, const struct sink *sink, uint32_t length)
{
	uint32_t slot[DRAWN_FOUR];

	draw_as_new(selection, table, generator, slot, DRAWN_FOUR, stride_of(length));
	return put_fixed(table, slots_of(selection, table), slot, DRAWN_FOUR, sink, length);
}

static __attribute__((noinline)) uint32_t put_any(const struct geo_selection *selection,
						  const struct geo_table *table,
						  struct geo_generator *generator,
						  const struct sink *sink)
{
	uint32_t slot[DRAWN_FEW], records = table->hosts;

	if (table->flags & GEO_TABLE_ORDERED)
		return put_ordered(selection, table, records, sink);
	if (records <= DRAWN_FEW) {
		draw_slots(selection, table, generator, slot, records);
		return put(selection, table, slot, records, sink);
	}
	/* No selection has a table of more: geo/check.c. */
	return records <= GEO_HOSTS_MAX ? put_many(selection, table, generator, sink) : 0;
}

uint32_t geo_put_records(const struct geo_selection *selection, uint32_t at,
			 struct geo_generator *generator, uint32_t owner, uint8_t *to,
			 uint32_t room, uint32_t *count)
{
	const struct geo_table *table = geo_table_at(selection, at);
	const struct sink sink = {.to = to, .room = room, .owner = owner};
	uint32_t records = table->hosts, bytes;
	bool is_four = records == DRAWN_FOUR && table->weighted >= DRAWN_FOUR &&
		       !(table->flags & (GEO_TABLE_ORDERED | GEO_TABLE_WIDE));

	*count = 0;
	if (records * (uint64_t)table->least > room)
		return 0;
	if (is_four && table->length == 4) /* A */
		bytes = put_four(selection, table, generator, &sink, 4);
	else if (is_four && table->length == 16) /* AAAA */
		bytes = put_four(selection, table, generator, &sink, 16);
	else
		bytes = put_any(selection, table, generator, &sink);
	*count = bytes ? records : 0;
	return bytes;
}

/* -------------------------------------------------------------------------------------------- */

struct geo_pick geo_pick(const struct geo_selection *selection, uint32_t entry,
			 struct geo_generator *generator)
{
	const struct geo_entry *entries = geo_entries(selection);

	for (;;) {
		const struct geo_entry *found = &entries[entry];
		const struct geo_table *table;
		uint32_t to;

		switch (found->kind) {
		case GEO_ENTRY_NOTHING:
			return (struct geo_pick){GEO_PICKED_NOTHING, 0};
		case GEO_ENTRY_RECORDS:
			return (struct geo_pick){GEO_PICKED_RECORDS, found->at};
		case GEO_ENTRY_IMAGE:
			return (struct geo_pick){GEO_PICKED_IMAGE, found->at};
		default:
			break;
		}
		table = geo_table_at(selection, found->at);
		memcpy(&to,
		       slots_of(selection, table) + GEO_SLOT_DATA +
			       draw(table, slots_of(selection, table), generator) *
				       (uint64_t)table->stride,
		       sizeof to);
		if (found->kind == GEO_ENTRY_IMAGES)
			return (struct geo_pick){GEO_PICKED_IMAGE, to};
		entry = to;
	}
}
