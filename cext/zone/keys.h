/* SPDX-License-Identifier: Apache-2.0 */
/* What names are sorted by in the chain of a signed zone: the compiler and denial.c have the same.
 */
#ifndef XDPKIT_ZONE_KEYS_H
#define XDPKIT_ZONE_KEYS_H

#include "base/sha1.h"
#include "zone/zone.h"

/* At worst every byte of the name is escaped. */
#define ZONE_KEY_MAX (2 * ZONE_NAME_MAX)

/*
 * Canonical order (RFC 4034 section 6.1) as one string, of which the length is returned: the labels
 * in the first `below` bytes of the name, those below the zone's name, from the right, each
 * followed by a zero, bytes 0 and 1 escaped.
 */
uint32_t zone_canonical_key(const uint8_t *name, uint32_t below, uint8_t key[ZONE_KEY_MAX]);

/* The hash of a name with at most "*." in front of it, RFC 5155 section 5. The salt follows. */
void zone_hash_name(const struct zone_hashing *hashing, const uint8_t *name, uint32_t length,
		    uint8_t hash[SHA1_SIZE]);

#endif
