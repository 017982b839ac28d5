/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may ask: lists of allowed and denied prefixes, of which the longest that holds the source
 * decides. xdpkit/access.py flattens them into the addresses at which the answer changes, going up
 * from address 0, so that a look-up is one binary search.
 *
 *   access_list | 16-byte changes of IPv6[ipv6.changes] | 4-byte ones of IPv4[ipv4.changes]
 *
 * Changes are strictly ascending, in host order. One position-independent block, aligned to
 * ACCESS_ALIGN, owned by an AccessList (bindings/_access.pyx).
 *
 * Thread rule: nothing here is ever written after publication; any number of threads may read.
 */
#ifndef XDPKIT_ACCESS_H
#define XDPKIT_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A cache line, and enough for the loads of 16 bytes. */
#define ACCESS_ALIGN 64

struct access_family {
	uint32_t changes;
	uint32_t first; /* 1 = address 0 is allowed, 0 = denied */
};

struct access_list {
	struct access_family ipv4;
	struct access_family ipv6;
};

_Static_assert(sizeof(struct access_list) == 16, "access.py: HEADER");
_Static_assert(offsetof(struct access_list, ipv6) == 8, "access.py: HEADER");
_Static_assert(offsetof(struct access_family, first) == 4, "access.py: HEADER");
_Static_assert(sizeof(unsigned __int128) == 16, "access.py: CHANGE_BYTES");

/* 0 if `base` holds a sound list in exactly `size` bytes, else -1. */
int access_open(const void *base, size_t size);

/* The answer for a family that has changes; `source` in network order. */
bool access_search(const struct access_list *list, const uint8_t *source, uint8_t ip_version);

/* True if this source (network order, 4 or 16 bytes) may ask. */
static inline bool access_allowed(const struct access_list *list, const uint8_t *source,
				  uint8_t ip_version)
{
	const struct access_family *family = ip_version == 4 ? &list->ipv4 : &list->ipv6;

	if (!family->changes)
		return family->first;
	return access_search(list, source, ip_version);
}

#endif
