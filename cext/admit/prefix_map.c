// SPDX-License-Identifier: Apache-2.0
#include "admit/prefix_map.h"

#include <stdbool.h>

#include "base/bytes.h"

typedef unsigned __int128 uint128;

static const uint128 *ipv6_changes(const struct prefix_map *map)
{
	return (const uint128 *)(map + 1);
}

static const uint32_t *ipv4_changes(const struct prefix_map *map)
{
	return (const uint32_t *)(ipv6_changes(map) + map->ipv6.changes);
}

static const uint16_t *values_of(const struct prefix_map *map, const struct prefix_family *family)
{
	return (const uint16_t *)((const char *)map + family->values);
}

/* Whether the values of a family begin at `at`, which moves to their end. */
static bool place_values(const struct prefix_family *family, uint64_t *at)
{
	if (!family->changes)
		return family->values <= UINT16_MAX;
	if (family->values != *at)
		return false;
	*at += sizeof(uint16_t) * ((uint64_t)family->changes + 1);
	return true;
}

/* Whether each value differs from the one before: a change that changes nothing is not one. */
static bool values_differ(const struct prefix_map *map, const struct prefix_family *family)
{
	const uint16_t *value = values_of(map, family);

	for (uint32_t i = 0; i < family->changes; i++)
		if (value[i] == value[i + 1])
			return false;
	return true;
}

int prefix_map_open(const void *base, size_t size)
{
	const struct prefix_map *map = base;
	const uint128 *ipv6;
	const uint32_t *ipv4;
	uint64_t at;

	if (size < sizeof *map)
		return -1;
	at = sizeof *map + sizeof *ipv6 * (uint64_t)map->ipv6.changes +
	     sizeof *ipv4 * (uint64_t)map->ipv4.changes;
	if (!place_values(&map->ipv6, &at) || !place_values(&map->ipv4, &at) || at != size)
		return -1;
	ipv6 = ipv6_changes(map);
	ipv4 = ipv4_changes(map);
	for (uint32_t i = 0; i < map->ipv6.changes; i++)
		if ((i ? ipv6[i - 1] : 0) >= ipv6[i])
			return -1;
	for (uint32_t i = 0; i < map->ipv4.changes; i++)
		if ((i ? ipv4[i - 1] : 0) >= ipv4[i])
			return -1;
	return values_differ(map, &map->ipv6) && values_differ(map, &map->ipv4) ? 0 : -1;
}

/*
 * How many of `count` changes (at least 1) are at or below an address. Branch-free, with a mask of
 * all bits or none: which half an address lies in cannot be predicted.
 */
static uint32_t ipv4_upper_bound(const uint32_t *change, uint32_t count, uint32_t address)
{
	uint32_t at = 0;

	for (uint32_t half; count > 1; count -= half) {
		half = count / 2;
		at += half & -(uint32_t)(change[at + half - 1] <= address);
	}
	return at + (change[at] <= address);
}

static uint32_t ipv6_upper_bound(const uint128 *change, uint32_t count, uint128 address)
{
	uint32_t at = 0;

	for (uint32_t half; count > 1; count -= half) {
		half = count / 2;
		at += half & -(uint32_t)(change[at + half - 1] <= address);
	}
	return at + (change[at] <= address);
}

uint16_t prefix_map_search_ipv4(const struct prefix_map *map, const uint8_t *source)
{
	uint32_t changes =
		ipv4_upper_bound(ipv4_changes(map), map->ipv4.changes, load_be32(source));

	return values_of(map, &map->ipv4)[changes];
}

uint16_t prefix_map_search_ipv6(const struct prefix_map *map, const uint8_t *source)
{
	uint128 address = (uint128)load_be64(source) << 64 | load_be64(source + 8);
	uint32_t changes = ipv6_upper_bound(ipv6_changes(map), map->ipv6.changes, address);

	return values_of(map, &map->ipv6)[changes];
}
