/* SPDX-License-Identifier: Apache-2.0 */
/* The types of records by name, and bitmaps of them. */
#ifndef XDPKIT_ZONEFILE_TYPE_H
#define XDPKIT_ZONEFILE_TYPE_H

#include <stdint.h>

#include "zonefile/token.h"

/* Types in one bitmap: all that IANA has assigned. */
#define TYPES_MAX 128

/* Its longest form: each in a window of its own, with 32 bytes. */
#define BITMAP_MAX (TYPES_MAX * (2 + 32))

/* A type's mnemonic, or TYPE and its number (RFC 3597 section 5), in any case; 0 if unknown. */
uint16_t type_read(const struct token *word);

/*
 * Reads the types in the rest of a record, and writes them as RFC 4034 section 4.1.2 says, at most
 * BITMAP_MAX bytes. Returns their number, or -1.
 */
int32_t type_bitmap(struct text *text, uint8_t *to);

/* The same for NXT: one bitmap of up to 16 bytes, for types below 128 (RFC 2535 section 5.2). */
int32_t type_bitmap_nxt(struct text *text, uint8_t *to);

#endif
