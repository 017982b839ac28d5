/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access lists: allowed and denied prefixes, of which the longest that matches the source decides.
 * xdpkit/services/access_list.py flattens them into the addresses at which the answer changes,
 * ascending from address 0, so that a lookup is one binary search.
 *
 *   access_list | 16-byte IPv6 changes[ipv6.changes] | 4-byte IPv4 changes[ipv4.changes]
 *
 * Changes are strictly ascending, in host order. One position-independent block, aligned to
 * ACCESS_ALIGN, owned by an AccessList (xdpkit/_core/_access.pyx).
 *
 * Thread safety: immutable once published; any number of threads may read.
 */
#ifndef XDPKIT_ACCESS_H
#define XDPKIT_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A cache line, which also aligns the 16-byte loads. */
#define ACCESS_ALIGN 64

struct access_family {
	uint32_t changes;
	uint32_t first; /* 1 = address 0 is allowed, 0 = denied */
};

struct access_list {
	struct access_family ipv4;
	struct access_family ipv6;
};

_Static_assert(sizeof(struct access_list) == 16, "access_list.py: HEADER");
_Static_assert(offsetof(struct access_list, ipv6) == 8, "access_list.py: HEADER");
_Static_assert(offsetof(struct access_family, first) == 4, "access_list.py: HEADER");
_Static_assert(sizeof(unsigned __int128) == 16, "access_list.py: CHANGE_BYTES");

/* 0 if `base` holds a valid list of exactly `size` bytes, else -1. */
int access_open(const void *base, size_t size);

/* The lookup in a family that has changes; `source` is in network order. */
bool access_search(const struct access_list *list, const uint8_t *source, uint8_t ip_version);

/* Whether this source (network order, 4 or 16 bytes) is allowed. */
static inline bool access_allowed(const struct access_list *list, const uint8_t *source,
				  uint8_t ip_version)
{
	const struct access_family *family = ip_version == 4 ? &list->ipv4 : &list->ipv6;

	if (!family->changes)
		return family->first;
	return access_search(list, source, ip_version);
}

#endif
