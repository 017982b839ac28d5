/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether every offset, length and count of an arena that an answer follows stays inside it. The
 * packet path trusts them; an arena that comes from a file is looked through once, before that.
 *
 * Sound means that no question can make an answer read or write out of bounds, call for endless
 * work or follow a null pointer. Whether the answers are right is the checksum's to say.
 */
#ifndef XDPKIT_ZONE_CHECK_H
#define XDPKIT_ZONE_CHECK_H

#include <stddef.h>

/* 0 if zone_open() takes the arena and all that it holds is sound, else -1. Some 0.2 us a name. */
int zone_check(const void *base, size_t size);

#endif
