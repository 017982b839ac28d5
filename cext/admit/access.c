// SPDX-License-Identifier: Apache-2.0
#include "admit/access.h"

#include "base/bytes.h"

typedef unsigned __int128 uint128;

static const uint128 *ipv6_changes(const struct access_list *list)
{
	return (const uint128 *)(list + 1);
}

static const uint32_t *ipv4_changes(const struct access_list *list)
{
	return (const uint32_t *)(ipv6_changes(list) + list->ipv6.changes);
}

int access_open(const void *base, size_t size)
{
	const struct access_list *list = base;
	const uint128 *ipv6;
	const uint32_t *ipv4;

	if (size < sizeof *list || list->ipv4.first > 1 || list->ipv6.first > 1 ||
	    size != sizeof *list + sizeof *ipv6 * (uint64_t)list->ipv6.changes +
			    sizeof *ipv4 * (uint64_t)list->ipv4.changes)
		return -1;
	ipv6 = ipv6_changes(list);
	ipv4 = ipv4_changes(list);
	for (uint32_t i = 1; i < list->ipv6.changes; i++)
		if (ipv6[i - 1] >= ipv6[i])
			return -1;
	for (uint32_t i = 1; i < list->ipv4.changes; i++)
		if (ipv4[i - 1] >= ipv4[i])
			return -1;
	return 0;
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

bool access_search(const struct access_list *list, const uint8_t *source, uint8_t ip_version)
{
	uint32_t changes;
	uint128 address;

	if (ip_version == 4) {
		changes =
			ipv4_upper_bound(ipv4_changes(list), list->ipv4.changes, load_be32(source));
		return (list->ipv4.first + changes) & 1;
	}
	address = (uint128)load_be64(source) << 64 | load_be64(source + 8);
	changes = ipv6_upper_bound(ipv6_changes(list), list->ipv6.changes, address);
	return (list->ipv6.first + changes) & 1;
}
