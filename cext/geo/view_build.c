// SPDX-License-Identifier: Apache-2.0
#include "geo/view_build.h"

#include <string.h>

/* A view that is written, or only counted: then nothing is written to. */
struct writer {
	struct geo_bucket *ipv4, *ipv6, *further;
	uint64_t *ipv6_entry;
	uint32_t *ipv4_entry;
	uint64_t ipv4_entries, ipv6_entries, furthers;
};

/* The spans that lie in a slot: a bucket, or a further one. */
struct slot {
	const struct geo_spans *spans;
	uint64_t start; /* the first 64 bits of its first address */
	uint32_t first; /* the span that has it */
	uint32_t count;
};

void geo_classify(struct geo_spans *spans, const uint16_t *class_of)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < spans->count; i++) {
		const uint32_t class = class_of[spans->combination[i]];

		if (count && spans->combination[count - 1] == class)
			continue;
		spans->start[count] = spans->start[i];
		spans->combination[count++] = class;
	}
	spans->count = count;
}

/*
 * The slot at `start`, which `first` is in or before, and which ends `size` after it (0: at the end
 * of all addresses).
 */
static struct slot slot_at(const struct geo_spans *spans, uint32_t first, uint64_t start,
			   uint64_t size)
{
	struct slot slot = {.spans = spans, .start = start, .count = 1};

	while (first + 1 < spans->count && spans->start[first + 1] <= start)
		first++;
	slot.first = first;
	while (first + slot.count < spans->count &&
	       spans->start[first + slot.count] - start <= size - 1)
		slot.count++;
	return slot;
}

/* The shortest prefix of a slot's addresses that lies within the one span of the slot. */
static uint8_t scope_of(const struct slot *slot)
{
	const struct geo_spans *spans = slot->spans;
	const uint64_t start = spans->start[slot->first];
	uint32_t scope = 0, above;

	if (start)
		scope = (uint32_t)__builtin_clzll(slot->start ^ (start - 1)) + 1;
	if (slot->first + 1 == spans->count)
		return (uint8_t)scope;
	above = (uint32_t)__builtin_clzll(slot->start ^ spans->start[slot->first + 1]) + 1;
	return (uint8_t)(above > scope ? above : scope);
}

static void put_bucket(struct geo_bucket *bucket, uint64_t at, uint32_t count, uint32_t more)
{
	if (bucket)
		*bucket = (struct geo_bucket){(uint32_t)at, count << 8 | more};
}

/* Span `i` of a slot, as far as it lies there: the first bits of its start, and its class. */
static uint64_t entry_of(const struct slot *slot, uint32_t i)
{
	const uint64_t start = i ? slot->spans->start[slot->first + i] : slot->start;

	return start << (64 - GEO_BITS_IPV6) | slot->spans->combination[slot->first + i];
}

static void put_ipv4(struct writer *to, const struct slot *slot, struct geo_bucket *bucket)
{
	if (slot->count == 1) {
		put_bucket(bucket, slot->spans->combination[slot->first], 0, scope_of(slot));
		return;
	}
	put_bucket(bucket, to->ipv4_entries, slot->count, 0);
	for (uint32_t i = 0; bucket && i < slot->count; i++) {
		const uint64_t entry = entry_of(slot, i);

		to->ipv4_entry[to->ipv4_entries + i] =
			(uint32_t)(entry >> 32 & 0xffff0000) | (uint16_t)entry;
	}
	to->ipv4_entries += slot->count;
}

static void put_ipv6(struct writer *to, const struct slot *slot, struct geo_bucket *bucket)
{
	if (slot->count == 1) {
		put_bucket(bucket, slot->spans->combination[slot->first], 0, scope_of(slot));
		return;
	}
	put_bucket(bucket, to->ipv6_entries, slot->count, 0);
	for (uint32_t i = 0; bucket && i < slot->count; i++)
		to->ipv6_entry[to->ipv6_entries + i] = entry_of(slot, i);
	to->ipv6_entries += slot->count;
}

/* A bucket of IPv6, with further ones if it is crowded: some four entries in each. */
static void put_ipv6_bucket(struct writer *to, const struct slot *slot, struct geo_bucket *bucket)
{
	uint32_t bits, first = slot->first;
	uint64_t at = to->furthers, size;

	if (slot->count <= GEO_CROWDED) {
		put_ipv6(to, slot, bucket);
		return;
	}
	bits = 31 - (uint32_t)__builtin_clz(slot->count / 4);
	if (bits > GEO_FURTHER_BITS_MAX)
		bits = GEO_FURTHER_BITS_MAX;
	put_bucket(bucket, at, slot->count, bits);
	to->furthers += 1u << bits;
	size = 1ull << (GEO_BITS_IPV6 - bits);
	for (uint64_t i = 0; i < 1ull << bits; i++) {
		struct slot inner = slot_at(slot->spans, first, slot->start + i * size, size);

		put_ipv6(to, &inner, bucket ? to->further + at + i : NULL);
		first = inner.first;
	}
}

static void put_all(struct writer *to, const struct geo_view_source *source)
{
	uint32_t ipv4 = 0, ipv6 = 0;

	for (uint64_t i = 0; i < GEO_BUCKETS; i++) {
		struct slot slot = slot_at(source->ipv4, ipv4, i << 48, 1ull << 48);

		ipv4 = slot.first;
		put_ipv4(to, &slot, to->ipv4 ? to->ipv4 + i : NULL);
		slot = slot_at(source->ipv6, ipv6, i << 48, 1ull << 48);
		ipv6 = slot.first;
		put_ipv6_bucket(to, &slot, to->ipv6 ? to->ipv6 + i : NULL);
	}
}

static struct writer counted(const struct geo_view_source *source)
{
	struct writer to = {0};

	put_all(&to, source);
	return to;
}

uint64_t geo_view_size(const struct geo_view_source *source)
{
	const struct writer to = counted(source);

	if (to.ipv4_entries >= GEO_ENTRIES_MAX || to.ipv6_entries >= GEO_ENTRIES_MAX)
		return 0;
	return sizeof(struct geo_view) +
	       sizeof(struct geo_bucket) * (2 * GEO_BUCKETS + to.furthers) +
	       sizeof(uint64_t) * to.ipv6_entries + sizeof(uint32_t) * to.ipv4_entries +
	       (sizeof(uint16_t) + sizeof(unsigned __int128)) * (uint64_t)source->exact +
	       source->texts;
}

void geo_view_build(const struct geo_view_source *source, void *base)
{
	struct writer to = counted(source);
	struct geo_view *view = base;

	*view = (struct geo_view){
		.magic = GEO_VIEW_MAGIC,
		.version = GEO_VIEW_VERSION,
		.classes = source->classes,
		.size = geo_view_size(source),
		.exact = source->exact,
		.further = (uint32_t)to.furthers,
		.ipv6_entries = (uint32_t)to.ipv6_entries,
		.ipv4_entries = (uint32_t)to.ipv4_entries,
		.texts = source->texts,
	};
	to = (struct writer){
		.ipv4 = (struct geo_bucket *)geo_ipv4_buckets(view),
		.ipv6 = (struct geo_bucket *)geo_ipv6_buckets(view),
		.further = (struct geo_bucket *)geo_further_buckets(view),
		.ipv6_entry = (uint64_t *)geo_ipv6_entries(view),
		.ipv4_entry = (uint32_t *)geo_ipv4_entries(view),
	};
	put_all(&to, source);
	if (source->texts)
		memcpy((void *)geo_texts(view), source->text, source->texts);
	if (!source->exact)
		return;
	memcpy((void *)geo_exact_starts(view), source->exact_start,
	       source->exact * sizeof *source->exact_start);
	memcpy((void *)geo_exact_classes(view), source->exact_class,
	       source->exact * sizeof *source->exact_class);
}
