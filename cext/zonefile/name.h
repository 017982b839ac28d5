/* SPDX-License-Identifier: Apache-2.0 */
/* Domain names of a master file in wire format. */
#ifndef XDPKIT_ZONEFILE_NAME_H
#define XDPKIT_ZONEFILE_NAME_H

#include <stdint.h>

#include "zonefile/token.h"

#define NAME_MAX_BYTES 255 /* RFC 1035 section 2.3.4 */
#define LABEL_MAX      63  /* RFC 1035 section 2.3.4 */

/* A wire name, as it was written. */
struct name {
	uint8_t length;
	uint8_t bytes[NAME_MAX_BYTES];
};

/*
 * Reads a word as a name, below `origin` if it is relative (@ is the origin itself). Returns its
 * length, or 0 if it is not certainly one. Bytes above ASCII are themselves, as with named and nsd.
 * `to` has NAME_MAX_BYTES.
 */
uint32_t name_read(const struct token *word, const struct name *origin, uint8_t *to);

/* Lower-cases a wire name: no length is a capital letter. */
static inline void name_lower(uint8_t *bytes, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		bytes[i] |= (uint8_t)((uint8_t)(bytes[i] - 'A') < 26) << 5;
}

#endif
