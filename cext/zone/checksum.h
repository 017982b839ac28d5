/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checksum of an arena, which finds what a disk or memory changed of it: four hashes of every
 * fourth word, folded into one. It has no key, and is no defense against whoever writes an arena:
 * zone/check.h is. As fast as memory, so that large zones can be checked as they are copied.
 */
#ifndef XDPKIT_ZONE_CHECKSUM_H
#define XDPKIT_ZONE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#define ZONE_CHECKSUM_LANES 4

/* What is added at once, except for the last time, is a multiple of it. */
#define ZONE_CHECKSUM_BLOCK (ZONE_CHECKSUM_LANES * sizeof(uint64_t))

struct zone_checksum {
	uint64_t lane[ZONE_CHECKSUM_LANES];
};

void zone_checksum_begin(struct zone_checksum *sum);

/* `data` is aligned to 8 bytes; zeros complete the last block. */
void zone_checksum_add(struct zone_checksum *sum, const void *data, size_t size);

uint64_t zone_checksum_end(const struct zone_checksum *sum);

#endif
