// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer target for views: geo_merge() and geo_view_build() of tables that may be damaged, then
 * geo_view_open() and geo_view_find() on the block with a few bytes changed, in a buffer of exactly
 * its size. As long as nothing is changed, every answer must be that of a walk over the ranges.
 *
 * Input: how many ranges of IPv4 and IPv6 and exact starts, 1 byte each; 1 byte of options (1:
 * ranges are sorted first); 5, 9 and 17 bytes for each: a start, and a value or class; then
 * changes, of 4 bytes: where (a part of the block), which of it (2), what its byte is XORed with.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fuzz.h"
#include "geo/merge.h"
#include "geo/view.h"
#include "geo/view_build.h"

#define RANGES_MAX 48
#define VALUES     16
#define TABLES     2

typedef unsigned __int128 uint128;

struct input {
	const uint8_t *data;
	size_t size;
};

struct range {
	uint64_t start;
	uint32_t value;
};

struct ranges {
	uint32_t narrow[RANGES_MAX + 1];
	uint64_t wide[RANGES_MAX + 1];
	uint32_t value[RANGES_MAX + 1];
	uint32_t count;
};

static const uint32_t ids[VALUES] = {0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7};
/* A second table: it changes in the middle of what may be anywhere. */
static const uint32_t other_narrow[3] = {0, 0x0a000080, 0xc0000000};
static const uint64_t other_wide[3] = {0, 0x20010db800000001, 0x8000000000000000};
static const uint32_t other_value[3] = {0, 1, 0};

static const uint8_t *take(struct input *input, size_t size)
{
	static const uint8_t zeros[17];
	const uint8_t *taken = input->data;

	if (input->size < size)
		return zeros;
	input->data += size;
	input->size -= size;
	return taken;
}

static int by_start(const void *a, const void *b)
{
	const struct range *one = a, *other = b;

	return (one->start > other->start) - (one->start < other->start);
}

static void read_ranges(struct input *input, uint32_t count, uint32_t bytes, int sorted,
			struct ranges *to)
{
	struct range range[RANGES_MAX];

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *p = take(input, bytes + 1);

		range[i].start = bytes == 4 ? load_be32(p) : load_be64(p);
		range[i].value = p[bytes] % (VALUES + !sorted);
	}
	if (sorted && count)
		qsort(range, count, sizeof *range, by_start);
	to->count = 1;
	to->narrow[0] = 0;
	to->wide[0] = 0;
	to->value[0] = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (sorted && to->wide[to->count - 1] == range[i].start)
			continue;
		to->narrow[to->count] = (uint32_t)range[i].start;
		to->wide[to->count] = range[i].start;
		to->value[to->count++] = range[i].value;
	}
}

static enum geo_merge_result merge(const struct ranges *own, uint8_t version,
				   struct geo_combinations *all, struct geo_spans *spans)
{
	const void *start = version == 4 ? (const void *)own->narrow : own->wide;
	const void *other = version == 4 ? (const void *)other_narrow : other_wide;
	const struct geo_places table[TABLES] = {
		{start, own->value, ids, own->count, VALUES},
		{other, other_value, ids, 3, 2},
	};

	return geo_merge(table, version, all, spans);
}

/* ---------------------------------------------------------------------------------------------- */

static void put_address(uint8_t *to, uint8_t version, uint128 address)
{
	if (version == 4) {
		store_be32(to, (uint32_t)(address >> 96));
		return;
	}
	store_be64(to, (uint64_t)(address >> 64));
	store_be64(to + 8, (uint64_t)address);
}

static uint32_t span_at(const struct geo_spans *spans, uint64_t start)
{
	uint32_t at = 0;

	while (at + 1 < spans->count && spans->start[at + 1] <= start)
		at++;
	return at;
}

static uint16_t exact_at(const struct geo_view_source *source, uint128 address)
{
	uint16_t class = 0;

	for (uint32_t i = 0; i < source->exact && source->exact_start[i] <= address; i++)
		class = source->exact_class[i];
	return class;
}

static void check(const struct geo_view *view, const struct geo_view_source *source,
		  uint8_t version, uint128 address)
{
	const struct geo_spans *spans = version == 4 ? source->ipv4 : source->ipv6;
	const uint64_t start = (uint64_t)(address >> 64);
	const uint32_t span = span_at(spans, start);
	uint32_t scope = 0, most = version == 4 ? 32 : 64;
	uint16_t class = (uint16_t)spans->combination[span];
	struct geo_found found;
	uint8_t packed[16];

	put_address(packed, version, address);
	found = geo_view_find(view, packed, version);
	for (; scope < most; scope++) {
		const uint64_t mask = scope ? ~0ull << (64 - scope) : 0;

		if (span_at(spans, start & mask) == span && span_at(spans, start | ~mask) == span)
			break;
	}
	if (class == GEO_EXACT) {
		class = exact_at(source, address);
		scope = most;
	}
	CHECK(found.class == class);
	CHECK(found.scope == scope);
}

/* Every address at which something may change, and those next to it. */
static void check_all(const struct geo_view *view, const struct geo_view_source *source,
		      int unchanged)
{
	uint8_t packed[16];

	for (uint8_t version = 4; version <= 6; version += 2) {
		const struct geo_spans *spans = version == 4 ? source->ipv4 : source->ipv6;
		const uint128 step = version == 4 ? (uint128)1 << 96 : 1;

		for (uint32_t i = 0; i < spans->count + source->exact; i++) {
			uint128 at = i < spans->count ? (uint128)spans->start[i] << 64
						      : source->exact_start[i - spans->count];

			at &= ~(step - 1);
			for (uint32_t turn = 0; turn < 3; turn++) {
				const uint128 address = at + turn * step - step;

				put_address(packed, version, address);
				if (unchanged)
					check(view, source, version, address);
				else
					CHECK(geo_view_find(view, packed, version).scope <= 64);
			}
		}
	}
}

/* Each class's two strings, to their last bytes, end where the next one's begin. */
static void check_texts(const struct geo_view *view)
{
	const uint8_t *end = (const uint8_t *)view + view->size;

	for (uint32_t class = 0; class < view->classes && view->texts; class++) {
		const uint8_t *text = geo_view_text(view, class);

		text += 1 + text[0];
		text += 1 + text[0];
		CHECK(text == (class + 1 < view->classes ? geo_view_text(view, class + 1) : end));
	}
}

static void change(uint8_t *block, uint64_t whole, const struct geo_view_source *source,
		   const uint8_t *p)
{
	struct geo_view *view = (struct geo_view *)block;
	const uint32_t which = (uint32_t)p[1] << 8 | p[2], buckets = sizeof(struct geo_bucket);
	const struct {
		const void *at;
		uint64_t size;
	} part[] = {
		{view, sizeof *view},
		{geo_exact_starts(view), 16ull * source->exact},
		{geo_ipv4_buckets(view) + (source->ipv4->start[which % source->ipv4->count] >> 48),
		 buckets},
		{geo_ipv6_buckets(view) + (source->ipv6->start[which % source->ipv6->count] >> 48),
		 buckets},
		{geo_further_buckets(view), (uint64_t)view->further * buckets},
		{geo_ipv6_entries(view), 8ull * view->ipv6_entries},
		{geo_ipv4_entries(view), 4ull * view->ipv4_entries},
		{geo_exact_classes(view), 2ull * source->exact},
		{geo_texts(view), source->texts},
	};
	const uint32_t where = p[0] % (sizeof part / sizeof *part);
	uint64_t size = part[where].size;
	uint8_t *to = (uint8_t *)part[where].at;

	/* An earlier change may have moved everything. */
	if (size && to >= block && (uint64_t)(to - block) + size <= whole)
		to[which % size] ^= p[3];
}

/* Of each class its targets, "abc..." up to its number, and coordinates of one byte or none. */
static uint32_t make_texts(uint8_t *texts)
{
	uint32_t at = VALUES * sizeof(uint32_t), end;

	for (uint32_t class = 0; class < VALUES; class++) {
		texts[at++] = (uint8_t)class;
		for (uint32_t i = 0; i < class; i++)
			texts[at++] = (uint8_t)('a' + i);
		texts[at++] = class % 2;
		if (class % 2)
			texts[at++] = '1';
		end = at - VALUES * (uint32_t)sizeof end;
		memcpy(texts + class * sizeof end, &end, sizeof end);
	}
	return at;
}

/* The last bits tell the class of a /64 of class 7, if anything has such classes. */
static void make_exact(struct geo_spans *ipv6, uint32_t exact)
{
	for (uint32_t i = 0; exact && i + 1 < ipv6->count; i++)
		if (ipv6->combination[i] == 7 && ipv6->start[i + 1] - ipv6->start[i] == 1 &&
		    (!i || ipv6->combination[i - 1] != GEO_EXACT))
			ipv6->combination[i] = GEO_EXACT;
}

static void open_and_find(struct input *input, const struct geo_view_source *source)
{
	uint64_t size = geo_view_size(source);
	uint8_t *block = NULL;
	int unchanged = 1;

	CHECK(size);
	if (posix_memalign((void **)&block, GEO_VIEW_ALIGN, size))
		return;
	geo_view_build(source, block);
	CHECK(!geo_view_open(block, size));
	check_texts((struct geo_view *)block);
	check_all((struct geo_view *)block, source, 1);
	for (; input->size >= 4; unchanged = 0)
		change(block, size, source, take(input, 4));
	if (!unchanged && !geo_view_open(block, size)) {
		check_all((struct geo_view *)block, source, 0);
		check_texts((struct geo_view *)block);
	}
	free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct geo_combinations all = {.tables = TABLES};
	struct geo_spans ipv4 = {0}, ipv6 = {0};
	struct geo_view_source source = {.ipv4 = &ipv4, .ipv6 = &ipv6, .classes = VALUES};
	uint16_t class_of[VALUES * 2], exact_class[8];
	uint128 exact_start[8];
	uint8_t texts[VALUES * (sizeof(uint32_t) + 3 + VALUES)];
	struct ranges ranges;
	const uint8_t *head = take(&input, 4);
	const uint32_t counts[3] = {head[0] % RANGES_MAX, head[1] % RANGES_MAX, head[2] % 8};
	const int sorted = head[3] & 1;
	enum geo_merge_result result;

	read_ranges(&input, counts[0], 4, sorted, &ranges);
	result = merge(&ranges, 4, &all, &ipv4);
	read_ranges(&input, counts[1], 8, sorted, &ranges);
	if (result == GEO_MERGED)
		result = merge(&ranges, 6, &all, &ipv6);
	CHECK(!sorted || result == GEO_MERGED);
	for (uint32_t i = 0; i < counts[2]; i++) {
		const uint8_t *p = take(&input, 17);
		const uint128 start = (uint128)load_be64(p) << 64 | load_be64(p + 8);

		if (source.exact && start <= exact_start[source.exact - 1])
			continue;
		exact_start[source.exact] = start;
		exact_class[source.exact++] = p[16] % VALUES;
	}
	source.exact_start = exact_start;
	source.exact_class = exact_class;
	source.text = texts;
	source.texts = make_texts(texts);
	if (result == GEO_MERGED) {
		CHECK(all.count <= VALUES * 2);
		for (uint32_t i = 0; i < all.count; i++)
			class_of[i] = (uint16_t)(all.id[2 * i] + all.id[2 * i + 1]);
		geo_classify(&ipv4, class_of);
		geo_classify(&ipv6, class_of);
		make_exact(&ipv6, source.exact);
		open_and_find(&input, &source);
	}
	geo_spans_free(&ipv4);
	geo_spans_free(&ipv6);
	geo_combinations_free(&all);
	return 0;
}
