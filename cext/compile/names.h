/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that a message has so far, for compressing others against them (RFC 1035 section
 * 4.1.4): a table of suffixes, each its first label and the suffix after that. Labels stay where
 * they are, so their memory must not move while the table has them. Case is ignored.
 */
#ifndef XDPKIT_COMPILE_NAMES_H
#define XDPKIT_COMPILE_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "dns/compose.h"
#include "zone/zone.h"

/* A name of the longest has as many: RFC 1035 section 2.3.4, a label takes two bytes at least. */
#define NAME_LABELS 127

/*
 * No pointer leads to a name from DNS_ALIASES_END on: it has 14 bits, and a longer question, or
 * DNAMEs before the image, can move it by as much again. A suffix takes two bytes at least, and
 * three names can have some beyond: the question's, and the last before the end.
 */
#define NAMES_MAX   (DNS_ALIASES_END / 2 + 3 * NAME_LABELS)
#define NAMES_SLOTS 8192

/* One name, taken apart: where each of its labels begins, from the left. */
struct name_labels {
	const uint8_t *name;
	uint32_t length; /* bytes with the root label */
	uint32_t count;  /* the root label not counted */
	uint8_t start[NAME_LABELS + 1];
};

struct names_suffix {
	const uint8_t *label;
	uint32_t tag;
	uint16_t rest;   /* the number of the suffix after the label, 0: the root */
	uint16_t offset; /* in the message; 0: beyond what a pointer reaches */
	uint16_t slot;
};

/* All zero, and a random seed, before the first use. */
struct names {
	uint64_t seed; /* a zone's author must not know which labels collide */
	uint32_t count;
	uint16_t slot[NAMES_SLOTS]; /* numbers of suffixes, 0: empty */
	struct names_suffix suffix[NAMES_MAX + 1];
};

/*
 * Takes the uncompressed name at `wire` apart, which has at most `room` bytes; false if it does not
 * end there or is not a name.
 */
bool name_parse(struct name_labels *labels, const uint8_t *wire, uint64_t room);

/* Forgets all names. */
void names_clear(struct names *names);

/* How many of a name's labels, from the left, are not in the table; `offset` is that of the rest.
 */
uint32_t names_find(const struct names *names, const struct name_labels *name, uint32_t *offset);

/*
 * Adds the suffixes of the name that begin at its first `count` labels, those from label `first`
 * on. The name begins at `offset` of the message, and `wire` is its memory.
 */
void names_add(struct names *names, const struct name_labels *name, uint32_t first, uint32_t count,
	       const uint8_t *wire, uint32_t offset);

#endif
