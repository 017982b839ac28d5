/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map from prefixes to small values, of which that of the longest prefix that contains an address
 * decides; an access list is one with the values 0 (denied) and 1 (allowed).
 * xdpkit/services/prefix_map.py flattens the prefixes into the addresses at which the value
 * changes, ascending from address 0, so that a lookup is one binary search.
 *
 *   prefix_map | 16-byte IPv6 changes[ipv6.changes] | 4-byte IPv4 changes[ipv4.changes]
 *              | 2-byte IPv6 values[ipv6.changes + 1] | 2-byte IPv4 values[ipv4.changes + 1]
 *
 * Changes are strictly ascending and above 0. Value 0 of a family is that of address 0, value n
 * that from change n - 1 on; neighbors differ. A family without changes has its one value in the
 * header. All in host order. One position-independent block, aligned to PREFIX_MAP_ALIGN, owned by
 * a PrefixMap (xdpkit/_core/_prefix_map.pyx).
 *
 * Thread safety: immutable once published; any number of threads may read.
 */
#ifndef XDPKIT_PREFIX_MAP_H
#define XDPKIT_PREFIX_MAP_H

#include <stddef.h>
#include <stdint.h>

/* A cache line, which also aligns the 16-byte loads. */
#define PREFIX_MAP_ALIGN 64

struct prefix_family {
	uint32_t changes;
	uint32_t
		values; /* where they begin, in bytes from the map's start; no changes: the value */
};

struct prefix_map {
	struct prefix_family ipv4;
	struct prefix_family ipv6;
};

_Static_assert(sizeof(struct prefix_map) == 16, "prefix_map.py: HEADER");
_Static_assert(offsetof(struct prefix_map, ipv6) == 8, "prefix_map.py: HEADER");
_Static_assert(offsetof(struct prefix_family, values) == 4, "prefix_map.py: HEADER");
_Static_assert(sizeof(unsigned __int128) == 16, "prefix_map.py: CHANGE_BYTES");

/* 0 if `base` holds a valid map of exactly `size` bytes, else -1. */
int prefix_map_open(const void *base, size_t size);

/* The lookup in a family that has changes; `source` is in network order. */
uint16_t prefix_map_search_ipv4(const struct prefix_map *map, const uint8_t *source);
uint16_t prefix_map_search_ipv6(const struct prefix_map *map, const uint8_t *source);

/* The value of an address (network order, 4 or 16 bytes). */
static inline uint16_t prefix_map_value(const struct prefix_map *map, const uint8_t *source,
					uint8_t ip_version)
{
	if (ip_version == 4)
		return map->ipv4.changes ? prefix_map_search_ipv4(map, source)
					 : (uint16_t)map->ipv4.values;
	return map->ipv6.changes ? prefix_map_search_ipv6(map, source) : (uint16_t)map->ipv6.values;
}

#endif
