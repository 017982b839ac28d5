/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks that every offset, length and count in an arena that an answer follows stays inside it.
 * The packet path trusts them; an arena that comes from a file is checked once before it is used.
 *
 * Sound means that no question can make an answer read or write out of bounds, loop forever or
 * follow a null pointer. Whether the answers are right is what the checksum is for.
 */
#ifndef XDPKIT_ZONE_CHECK_H
#define XDPKIT_ZONE_CHECK_H

#include <stddef.h>

#include "zone/check_image.h"

/*
 * 0 if zone_open() accepts the arena and all it holds is sound, else -1. About 0.2 us a name.
 * Without `choice`, no arena with choices is.
 */
int zone_check(const void *base, size_t size, zone_check_choice *choice);

#endif
