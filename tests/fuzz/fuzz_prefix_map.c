// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer target for prefix_map_open() and prefix_map_value(): any bytes as a map, in a buffer of
 * exactly their size, so that ASAN catches any read past its end. A map that is accepted is queried
 * for addresses at and around its changes; a walk over all changes must agree.
 */
#include <stdlib.h>
#include <string.h>

#include "admit/prefix_map.h"
#include "base/bytes.h"
#include "fuzz.h"

typedef unsigned __int128 uint128;

/* Change `i` of a family, read from the raw bytes; wide enough for both families. */
static uint128 change_at(const uint8_t *blob, const struct prefix_map *map, uint8_t version,
			 uint32_t i)
{
	size_t ipv6 =
		sizeof *map + sizeof(uint128) * (size_t)(version == 6 ? i : map->ipv6.changes);
	uint32_t narrow;
	uint128 wide;

	if (version == 6) {
		memcpy(&wide, blob + ipv6, sizeof wide);
		return wide;
	}
	memcpy(&narrow, blob + ipv6 + sizeof narrow * (size_t)i, sizeof narrow);
	return narrow;
}

/* The same for value `i`: those of IPv4 end the block, those of IPv6 are before them. */
static uint16_t value_at(const uint8_t *blob, size_t size, const struct prefix_map *map,
			 uint8_t version, uint32_t i)
{
	const struct prefix_family *family = version == 4 ? &map->ipv4 : &map->ipv6;
	size_t from_end = map->ipv4.changes ? (size_t)map->ipv4.changes + 1 : 0;
	uint16_t value;

	if (!family->changes)
		return (uint16_t)family->values;
	if (version == 6)
		from_end += (size_t)map->ipv6.changes + 1;
	memcpy(&value, blob + size - sizeof value * (from_end - i), sizeof value);
	return value;
}

static void check(const uint8_t *blob, size_t size, const struct prefix_map *map, uint8_t version,
		  uint128 address)
{
	uint32_t changes = version == 4 ? map->ipv4.changes : map->ipv6.changes;
	uint32_t passed = 0;
	uint8_t source[16];

	for (uint32_t i = 0; i < changes; i++)
		passed += change_at(blob, map, version, i) <= address;
	if (version == 4) {
		store_be32(source, (uint32_t)address);
	} else {
		store_be64(source, (uint64_t)(address >> 64));
		store_be64(source + 8, (uint64_t)address);
	}
	CHECK(prefix_map_value(map, source, version) == value_at(blob, size, map, version, passed));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct prefix_map *map = NULL;

	if (!size || posix_memalign((void **)&map, PREFIX_MAP_ALIGN, size))
		return 0;
	memcpy(map, data, size);
	if (!prefix_map_open(map, size)) {
		for (uint8_t version = 4; version <= 6; version += 2) {
			uint128 top = version == 4 ? UINT32_MAX : ~(uint128)0;
			uint32_t changes = version == 4 ? map->ipv4.changes : map->ipv6.changes;

			check(data, size, map, version, 0);
			check(data, size, map, version, top);
			for (uint32_t i = 0; i < changes; i++) {
				uint128 edge = change_at(data, map, version, i);

				CHECK(edge > (i ? change_at(data, map, version, i - 1) : 0));
				CHECK(value_at(data, size, map, version, i) !=
				      value_at(data, size, map, version, i + 1));
				check(data, size, map, version, edge);
				check(data, size, map, version, (edge - 1) & top);
				check(data, size, map, version, (edge + 1) & top);
			}
		}
	}
	free(map);
	return 0;
}
