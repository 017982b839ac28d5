/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes an arena (zone/zone.h) into a file, as it is made: nodes go there as they come; header and
 * hash table, for which room was left before them, at the end. So a million names cost the table in
 * memory, not the arena.
 *
 * The first error stays in `error`, an errno, and what is called after it does nothing: EFBIG, also
 * for an offset that does not fit 32 bits, ENOMEM, those of pwrite(2), and EINVAL for names that
 * are none, or more nodes than were announced. Offsets are in units of ZONE_UNIT, 0 after an error.
 */
#ifndef XDPKIT_COMPILE_ARENA_H
#define XDPKIT_COMPILE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compile/body.h"
#include "zone/zone.h"

struct arena {
	int fd;
	int error;
	bool too_large;          /* the reason of EFBIG is the offsets */
	uint32_t expected;       /* nodes */
	uint64_t start;          /* where it begins in the file */
	uint64_t flushed;        /* bytes before the buffer, header and table included */
	struct zone_arena *head; /* header and table, of `head_size` bytes */
	size_t head_size;
	uint8_t *buffer;
	size_t used, room;
	size_t node, types_at; /* of the node being written, in the buffer */
	uint32_t types_left;
	size_t part; /* the same of a proof */
};

struct arena_node {
	const uint8_t *name; /* lower-cased */
	uint32_t length;
	uint8_t flags;
	uint16_t types;
	uint32_t fallback;                /* image */
	const struct zone_denial *denial; /* in a signed zone, else NULL */
};

/* Begins an arena of so many nodes at byte `start` of a file, a multiple of 64. Close it in the
 * end. */
void arena_open(struct arena *arena, int fd, uint64_t start, uint32_t nodes, uint64_t seed);
void arena_close(struct arena *arena);

/* Bytes written so far, header and table included. */
static inline uint64_t arena_size(const struct arena *arena)
{
	return arena->flushed + arena->used;
}

/* Appends data, zero-padded. */
uint32_t arena_put(struct arena *arena, const void *data, size_t length);

/* Appends a proof's struct zone_part: begin, then its records, which have the owner below. */
uint32_t arena_part(struct arena *arena, const uint8_t *key, uint32_t key_length,
		    const uint8_t *labels, uint32_t labels_length);
void arena_part_record(struct arena *arena, const struct body_record *record);
/* Its bytes in a message; more than 65,535 are an error of the zone, and the arena is not sound. */
uint64_t arena_part_end(struct arena *arena);

/* Appends the image of a body that was ended with this size. */
uint32_t arena_image(struct arena *arena, const struct body *body, uint32_t size,
		     const struct body_kind *kind);

/* The image for DO of the one at `image`, which was appended just before it. */
void arena_set_secure(struct arena *arena, uint32_t image, uint32_t secure);

/* Appends a node, with room for its types; its images follow. */
uint32_t arena_node(struct arena *arena, const struct arena_node *node);
/* The image of its next type, in ascending order. */
void arena_add_type(struct arena *arena, uint16_t type, uint32_t image);
/* The same for a type that has a choice (geo/choice.h), at a node with ZONE_NODE_GEO. */
void arena_add_choice(struct arena *arena, uint16_t type, uint32_t choice);
void arena_set_fallback(struct arena *arena, uint32_t image);

/* The wildcard under a node that was written, and the ancestor that is proved instead of one. */
void arena_set_wildcard(struct arena *arena, uint32_t node, uint32_t wildcard);
void arena_set_provable(struct arena *arena, uint32_t node, uint32_t provable);

/*
 * Ends it: fills in the header's fields that depend on what was written, except the checksum.
 * Everything but the head is in the file then, or, if `flushed` is still `head_size`, in the
 * buffer.
 */
void arena_end(struct arena *arena);

/* Writes the head with the checksum, and the buffer if it still has everything. */
void arena_write(struct arena *arena);

#endif
