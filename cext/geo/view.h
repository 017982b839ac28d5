/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which class of clients an address is in. Clients of one class have the same targets, so they get
 * the same answers from every zone that the view was made for (xdpkit/services/dns/geo/view.py).
 *
 *   geo_view | 16-byte exact starts[exact] | buckets: IPv4's[2^16], IPv6's[2^16], further ones
 *            | 8-byte IPv6 entries | 4-byte IPv4 entries | 2-byte exact classes[exact]
 *            | texts, or nothing: uint32_t ends[classes], then the classes' bytes
 *
 * The first 16 bits of an address find its bucket, and the next few its further bucket where one of
 * IPv6 is crowded. A bucket has one class, or entries: ranges in ascending order, each with the
 * bits that follow the first 16 (all that are left of IPv4, 48 of IPv6) above 16 bits of class,
 * from its start to the next one's; the first starts where the bucket does; neighbors have
 * different classes. So a lookup takes a few cache lines whatever the view's size.
 *
 * IPv6 is told apart to /64. Only single addresses that a zone names are told apart within one:
 * such a /64 has class GEO_EXACT, and the exact starts have its addresses, each start with its
 * class up to the next one's.
 *
 * All in host order. One position-independent block, aligned to GEO_VIEW_ALIGN, owned by a GeoView
 * (xdpkit/_core/_geo_view.pyx). Thread safety: immutable; any number of threads may read.
 */
#ifndef XDPKIT_GEO_VIEW_H
#define XDPKIT_GEO_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "geo/choice.h"

#define GEO_VIEW_MAGIC   0x7765697667646b78ull /* "xdkgview" */
#define GEO_VIEW_VERSION 2
#define GEO_VIEW_ALIGN   64

#define GEO_BUCKETS (1u << 16) /* of an IP version, by the first 16 bits */

/* Bits of a bucket that are below those of its address, and of an entry that are its class. */
#define GEO_BITS_IPV4  16
#define GEO_BITS_IPV6  48
#define GEO_CLASS_BITS 16

/* Bits of an IPv6 address that tell ranges apart. */
#define GEO_IPV6_BITS 64

/* In the place of a class: the exact starts tell. */
#define GEO_EXACT 0xffff

/* Most entries of an IP version: the number of a bucket's entries has 24 bits. */
#define GEO_ENTRIES_MAX (1u << 24)

/* A bucket of IPv6 with more entries has further buckets, 2^12 at most. */
#define GEO_CROWDED          16
#define GEO_FURTHER_BITS_MAX 12

struct geo_view {
	uint64_t magic;
	uint32_t version;
	uint32_t classes; /* class 0: nothing is known of the client */
	uint64_t size;    /* of the block, in bytes */
	uint32_t exact;
	uint32_t further;
	uint32_t ipv6_entries;
	uint32_t ipv4_entries;
	uint8_t id[GEO_VIEW_ID_BYTES]; /* of its content and what it was made from */
	uint64_t texts;                /* bytes of the texts; 0: there are none */
};

struct geo_bucket {
	uint32_t at;   /* index of its first entry or further bucket, or its class */
	uint32_t form; /* number of entries << 8, or 0: one class; | further bits, or the scope */
};

_Static_assert(sizeof(struct geo_view) == 64, "the exact starts are aligned");
_Static_assert(GEO_CLASSES_MAX <= GEO_EXACT, "a class is not GEO_EXACT");

struct geo_found {
	uint16_t class;
	/*
	 * Length of the shortest prefix that has the address and is all of this class: RFC 7871's
	 * widest prefix for which an answer is right.
	 */
	uint8_t scope;
};

/* 0 if `base` holds a valid view of exactly `size` bytes, else -1. */
int geo_view_open(const void *base, size_t size);

/* ---------------------------------------------------------------------------------------------- */

static inline const unsigned __int128 *geo_exact_starts(const struct geo_view *view)
{
	return (const unsigned __int128 *)(view + 1);
}

static inline const struct geo_bucket *geo_ipv4_buckets(const struct geo_view *view)
{
	return (const struct geo_bucket *)(geo_exact_starts(view) + view->exact);
}

static inline const struct geo_bucket *geo_ipv6_buckets(const struct geo_view *view)
{
	return geo_ipv4_buckets(view) + GEO_BUCKETS;
}

static inline const struct geo_bucket *geo_further_buckets(const struct geo_view *view)
{
	return geo_ipv6_buckets(view) + GEO_BUCKETS;
}

static inline const uint64_t *geo_ipv6_entries(const struct geo_view *view)
{
	return (const uint64_t *)(geo_further_buckets(view) + view->further);
}

static inline const uint32_t *geo_ipv4_entries(const struct geo_view *view)
{
	return (const uint32_t *)(geo_ipv6_entries(view) + view->ipv6_entries);
}

static inline const uint16_t *geo_exact_classes(const struct geo_view *view)
{
	return (const uint16_t *)(geo_ipv4_entries(view) + view->ipv4_entries);
}

static inline const uint8_t *geo_texts(const struct geo_view *view)
{
	return (const uint8_t *)(geo_exact_classes(view) + view->exact);
}

/*
 * What a class is in words, two strings with their lengths before them: targets, and coordinates
 * or nothing. NULL: the view has no texts. They are the view's, since all zones that share it share
 * them, and its classes mean nothing elsewhere.
 */
const uint8_t *geo_view_text(const struct geo_view *view, uint32_t class);

/* For an address that GEO_EXACT was found for. */
struct geo_found geo_view_exact(const struct geo_view *view, const uint8_t *address);

/*
 * The searches are branch-free, with a mask of all bits or none: which half an address lies in
 * cannot be predicted. The bits of the address that differ from the last one below the range and
 * the first one above it say how wide a prefix may be.
 */
static inline struct geo_found geo_search_ipv4(const uint32_t *entry, uint32_t count,
					       uint32_t address)
{
	const uint32_t low = address & 0xffff, key = address << 16 | 0xffff;
	uint32_t at = 0, below, above;

	for (uint32_t left = count, half; left > 1; left -= half) {
		half = left / 2;
		at += half & -(uint32_t)(entry[at + half] <= key);
	}
	below = low ^ ((entry[at] >> GEO_CLASS_BITS) - 1);
	above = low ^ (at + 1 < count ? entry[at + 1] >> GEO_CLASS_BITS : 1u << GEO_BITS_IPV4);
	below = (uint32_t)__builtin_clz(below);
	above = (uint32_t)__builtin_clz(above);
	return (struct geo_found){(uint16_t)entry[at],
				  (uint8_t)((below > above ? below : above) + 1)};
}

/* `end` is the end of the bucket, in the bits that an entry has. */
static inline struct geo_found geo_search_ipv6(const uint64_t *entry, uint32_t count,
					       uint64_t address, uint64_t end)
{
	const uint64_t low = address << 16 >> 16, key = address << 16 | 0xffff;
	uint64_t below, above;
	uint32_t at = 0;

	for (uint32_t left = count, half; left > 1; left -= half) {
		half = left / 2;
		at += half & -(uint32_t)(entry[at + half] <= key);
	}
	below = low ^ ((entry[at] >> GEO_CLASS_BITS) - 1);
	above = low ^ (at + 1 < count ? entry[at + 1] >> GEO_CLASS_BITS : end);
	below = (uint64_t)__builtin_clzll(below);
	above = (uint64_t)__builtin_clzll(above);
	return (struct geo_found){(uint16_t)entry[at],
				  (uint8_t)((below > above ? below : above) + 1)};
}

/* The first that is read for an address. */
static inline const struct geo_bucket *geo_bucket_of(const struct geo_view *view,
						     const uint8_t *address, uint8_t ip_version)
{
	if (ip_version == 4)
		return geo_ipv4_buckets(view) + (load_be32(address) >> GEO_BITS_IPV4);
	return geo_ipv6_buckets(view) + (load_be64(address) >> GEO_BITS_IPV6);
}

/* Prefetches what is read after that, if it has more than one class. */
static inline void geo_prefetch_entries(const struct geo_view *view,
					const struct geo_bucket *bucket, const uint8_t *address,
					uint8_t ip_version)
{
	uint32_t half = bucket->form >> 9, further = (uint8_t)bucket->form;

	if (!(bucket->form >> 8))
		return;
	if (ip_version == 4)
		__builtin_prefetch(geo_ipv4_entries(view) + bucket->at + half);
	else if (!further)
		__builtin_prefetch(geo_ipv6_entries(view) + bucket->at + half);
	else
		__builtin_prefetch(geo_further_buckets(view) + bucket->at +
				   (load_be64(address) << 16 >> (64 - further)));
}

static inline struct geo_found geo_find_ipv4(const struct geo_view *view, const uint8_t *source)
{
	const uint32_t address = load_be32(source);
	const struct geo_bucket *bucket = geo_bucket_of(view, source, 4);

	if (!(bucket->form >> 8))
		return (struct geo_found){(uint16_t)bucket->at, (uint8_t)bucket->form};
	return geo_search_ipv4(geo_ipv4_entries(view) + bucket->at, bucket->form >> 8, address);
}

static inline struct geo_found geo_find_ipv6(const struct geo_view *view, const uint8_t *source)
{
	const uint64_t address = load_be64(source);
	const struct geo_bucket *bucket = geo_bucket_of(view, source, 6);
	uint32_t shift = GEO_BITS_IPV6;
	struct geo_found found;
	uint64_t end;

	if ((bucket->form >> 8) && (uint8_t)bucket->form) {
		shift -= (uint8_t)bucket->form;
		bucket = geo_further_buckets(view) + bucket->at + (address << 16 >> 16 >> shift);
	}
	if (!(bucket->form >> 8))
		return (struct geo_found){(uint16_t)bucket->at, (uint8_t)bucket->form};
	end = ((address << 16 >> 16 >> shift) + 1) << shift;
	found = geo_search_ipv6(geo_ipv6_entries(view) + bucket->at, bucket->form >> 8, address,
				end);
	if (__builtin_expect(found.class == GEO_EXACT, 0))
		found = geo_view_exact(view, source);
	return found;
}

/* The class of an address (network order, 4 or 16 bytes), and how much of it decided. */
static inline struct geo_found geo_view_find(const struct geo_view *view, const uint8_t *address,
					     uint8_t ip_version)
{
	return ip_version == 4 ? geo_find_ipv4(view, address) : geo_find_ipv6(view, address);
}

#endif
