/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone_check() for any arena, one with choices included: every offset, count and index in them
 * stays inside it, records are whole, and variants lead to smaller indexes only, so that a
 * selection can be built from it and answered from. What it takes to build one is bounded by the
 * arena's size.
 */
#ifndef XDPKIT_GEO_CHECK_H
#define XDPKIT_GEO_CHECK_H

#include <stddef.h>

/* 0 if the arena is sound, else -1. */
int geo_check(const void *base, size_t size);

#endif
