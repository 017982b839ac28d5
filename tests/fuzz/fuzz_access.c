// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer target for access_open() and access_allowed(): any bytes as a list, in a buffer of
 * exactly their size, so that ASAN catches any read past its end. A list that is accepted is
 * queried for addresses at and around its changes; a walk over all changes must agree.
 */
#include <stdlib.h>
#include <string.h>

#include "admit/access.h"
#include "base/bytes.h"
#include "fuzz.h"

typedef unsigned __int128 uint128;

/* Change `i` of a family, read from the raw bytes; wide enough for both families. */
static uint128 change_at(const uint8_t *blob, const struct access_list *list, uint8_t version,
			 uint32_t i)
{
	size_t ipv6 =
		sizeof *list + sizeof(uint128) * (size_t)(version == 6 ? i : list->ipv6.changes);
	uint32_t narrow;
	uint128 wide;

	if (version == 6) {
		memcpy(&wide, blob + ipv6, sizeof wide);
		return wide;
	}
	memcpy(&narrow, blob + ipv6 + sizeof narrow * (size_t)i, sizeof narrow);
	return narrow;
}

static void check(const uint8_t *blob, const struct access_list *list, uint8_t version,
		  uint128 address)
{
	const struct access_family *family = version == 4 ? &list->ipv4 : &list->ipv6;
	uint32_t answer = family->first;
	uint8_t source[16];

	for (uint32_t i = 0; i < family->changes; i++)
		answer ^= change_at(blob, list, version, i) <= address;
	if (version == 4) {
		store_be32(source, (uint32_t)address);
	} else {
		store_be64(source, (uint64_t)(address >> 64));
		store_be64(source + 8, (uint64_t)address);
	}
	CHECK(access_allowed(list, source, version) == answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct access_list *list = NULL;

	if (!size || posix_memalign((void **)&list, ACCESS_ALIGN, size))
		return 0;
	memcpy(list, data, size);
	if (!access_open(list, size)) {
		for (uint8_t version = 4; version <= 6; version += 2) {
			uint128 top = version == 4 ? UINT32_MAX : ~(uint128)0;
			uint32_t changes = version == 4 ? list->ipv4.changes : list->ipv6.changes;

			check(data, list, version, 0);
			check(data, list, version, top);
			for (uint32_t i = 0; i < changes; i++) {
				uint128 edge = change_at(data, list, version, i);

				check(data, list, version, edge);
				check(data, list, version, (edge - 1) & top);
				check(data, list, version, (edge + 1) & top);
			}
		}
	}
	free(list);
	return 0;
}
