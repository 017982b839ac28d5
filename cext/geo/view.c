// SPDX-License-Identifier: Apache-2.0
#include "geo/view.h"

#include <stdbool.h>
#include <string.h>

/* What is checked: a view's entries so far, in the order of their buckets. */
struct walk {
	const struct geo_view *view;
	uint32_t ipv4_entries, ipv6_entries, further;
};

/* Leading zeros of a number that is not 0. */
static uint32_t leading_zeros(unsigned __int128 number)
{
	uint64_t high = (uint64_t)(number >> 64);

	return high ? (uint32_t)__builtin_clzll(high)
		    : 64 + (uint32_t)__builtin_clzll((uint64_t)number);
}

struct geo_found geo_view_exact(const struct geo_view *view, const uint8_t *address)
{
	const unsigned __int128 *start = geo_exact_starts(view);
	const unsigned __int128 wanted =
		(unsigned __int128)load_be64(address) << 64 | load_be64(address + 8);
	uint32_t at = 0, below, above = 0;

	if (!view->exact || start[0] > wanted)
		return (struct geo_found){0, GEO_IPV6_BITS + 1};
	for (uint32_t left = view->exact, half; left > 1; left -= half) {
		half = left / 2;
		if (start[at + half] <= wanted)
			at += half;
	}
	below = leading_zeros(wanted ^ (start[at] - 1));
	if (at + 1 < view->exact)
		above = leading_zeros(wanted ^ start[at + 1]);
	if (above > below)
		below = above;
	/* Not all of the /64 is of this class: else it would have it, and not GEO_EXACT. */
	return (struct geo_found){geo_exact_classes(view)[at],
				  (uint8_t)(below < GEO_IPV6_BITS ? GEO_IPV6_BITS + 1 : below + 1)};
}

static bool class_is_valid(const struct walk *walk, uint32_t class)
{
	return class < walk->view->classes;
}

/* A bucket of one class; `depth` bits of an address lead to it. */
static bool single_is_valid(const struct walk *walk, const struct geo_bucket *bucket,
			    uint32_t depth)
{
	return class_is_valid(walk, bucket->at) && (uint8_t)bucket->form <= depth;
}

static bool ipv4_bucket_is_valid(struct walk *walk, const struct geo_bucket *bucket)
{
	const uint32_t *entry = geo_ipv4_entries(walk->view) + walk->ipv4_entries;
	const uint32_t count = bucket->form >> 8;

	if (!count)
		return single_is_valid(walk, bucket, 32 - GEO_BITS_IPV4);
	/* The entries of each follow those of the one before. */
	if ((uint8_t)bucket->form || bucket->at != walk->ipv4_entries ||
	    count > walk->view->ipv4_entries - walk->ipv4_entries || count < 2)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (!class_is_valid(walk, (uint16_t)entry[i]))
			return false;
		if (i ? entry[i] >> GEO_CLASS_BITS <= entry[i - 1] >> GEO_CLASS_BITS
		      : entry[i] >> GEO_CLASS_BITS != 0)
			return false;
	}
	walk->ipv4_entries += count;
	return true;
}

/* One whose addresses are from `start` to `end`, in the bits that an entry has. */
static bool ipv6_entries_are_valid(struct walk *walk, const struct geo_bucket *bucket,
				   uint64_t start, uint64_t end, uint32_t depth)
{
	const uint64_t *entry = geo_ipv6_entries(walk->view) + walk->ipv6_entries;
	const uint32_t count = bucket->form >> 8;

	if (!count)
		return single_is_valid(walk, bucket, depth);
	if ((uint8_t)bucket->form || bucket->at != walk->ipv6_entries ||
	    count > walk->view->ipv6_entries - walk->ipv6_entries || count < 2)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		const uint64_t low = entry[i] >> GEO_CLASS_BITS;
		const uint16_t class = (uint16_t)entry[i];

		if (!class_is_valid(walk, class) && (class != GEO_EXACT || !walk->view->exact))
			return false;
		if (i ? low <= entry[i - 1] >> GEO_CLASS_BITS : low != start)
			return false;
		if (low >= end)
			return false;
	}
	walk->ipv6_entries += count;
	return true;
}

static bool ipv6_bucket_is_valid(struct walk *walk, const struct geo_bucket *bucket)
{
	const uint32_t bits = (uint8_t)bucket->form, shift = GEO_BITS_IPV6 - bits;
	const struct geo_bucket *further;

	if (!(bucket->form >> 8) || !bits)
		return ipv6_entries_are_valid(walk, bucket, 0, 1ull << GEO_BITS_IPV6,
					      64 - GEO_BITS_IPV6);
	if (bits > GEO_FURTHER_BITS_MAX || bucket->at != walk->further ||
	    1u << bits > walk->view->further - walk->further)
		return false;
	further = geo_further_buckets(walk->view) + bucket->at;
	for (uint64_t i = 0; i < 1ull << bits; i++)
		if (!ipv6_entries_are_valid(walk, further + i, i << shift, (i + 1) << shift,
					    64 - shift))
			return false;
	walk->further += 1u << bits;
	return true;
}

/* Where the text of a class ends, after the ends themselves. */
static uint64_t text_end(const struct geo_view *view, uint32_t class)
{
	uint32_t end;

	memcpy(&end, geo_texts(view) + sizeof end * (uint64_t)class, sizeof end);
	return end + sizeof end * (uint64_t)view->classes;
}

const uint8_t *geo_view_text(const struct geo_view *view, uint32_t class)
{
	if (!view->texts)
		return NULL;
	return geo_texts(view) +
	       (class ? text_end(view, class - 1) : sizeof(uint32_t) * (uint64_t)view->classes);
}

/* Each is two strings, and they follow one another to the end. */
static bool texts_are_valid(const struct geo_view *view)
{
	const uint8_t *texts = geo_texts(view);
	uint64_t at = sizeof(uint32_t) * (uint64_t)view->classes, end;

	if (!view->texts)
		return true;
	if (view->texts < at)
		return false;
	for (uint32_t i = 0; i < view->classes; i++) {
		end = text_end(view, i);
		if (end > view->texts || end < at + 2 || end - at - 2 < texts[at] ||
		    end - at - 2 - texts[at] != texts[at + 1 + texts[at]])
			return false;
		at = end;
	}
	return at == view->texts;
}

static bool exact_is_valid(const struct walk *walk)
{
	const unsigned __int128 *start = geo_exact_starts(walk->view);
	const uint16_t *class = geo_exact_classes(walk->view);

	for (uint32_t i = 0; i < walk->view->exact; i++)
		if ((i && start[i - 1] >= start[i]) || !class_is_valid(walk, class[i]))
			return false;
	return true;
}

static uint64_t size_of(const struct geo_view *view)
{
	return sizeof *view + sizeof(unsigned __int128) * (uint64_t)view->exact +
	       sizeof(struct geo_bucket) * (2ull * GEO_BUCKETS + view->further) +
	       sizeof(uint64_t) * (uint64_t)view->ipv6_entries +
	       sizeof(uint32_t) * (uint64_t)view->ipv4_entries +
	       sizeof(uint16_t) * (uint64_t)view->exact + view->texts;
}

int geo_view_open(const void *base, size_t size)
{
	struct walk walk = {.view = base};
	const struct geo_view *view = base;

	if (size < sizeof *view || view->magic != GEO_VIEW_MAGIC ||
	    view->version != GEO_VIEW_VERSION || view->size != size || view->texts > size ||
	    size_of(view) != size)
		return -1;
	if (!view->classes || view->classes > GEO_CLASSES_MAX || !texts_are_valid(view))
		return -1;
	for (uint32_t i = 0; i < GEO_BUCKETS; i++)
		if (!ipv4_bucket_is_valid(&walk, geo_ipv4_buckets(view) + i) ||
		    !ipv6_bucket_is_valid(&walk, geo_ipv6_buckets(view) + i))
			return -1;
	if (walk.ipv4_entries != view->ipv4_entries || walk.ipv6_entries != view->ipv6_entries ||
	    walk.further != view->further)
		return -1;
	return exact_is_valid(&walk) ? 0 : -1;
}
