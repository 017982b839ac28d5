/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-1 (FIPS 180-4), only for the hashed owner names of NSEC3 (RFC 5155 section 5): it is no
 * longer fit for signatures. Its run time depends on the length only.
 */
#ifndef XDPKIT_SHA1_H
#define XDPKIT_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define SHA1_SIZE 20

/*
 * The digest of `length` bytes at `data`, which `digest` may overlap. At most SHA1_INPUT_MAX: a
 * name, maybe with "*." in front of it, or a digest, and a salt of up to 255 bytes.
 */
#define SHA1_INPUT_MAX 512

void sha1(const uint8_t *data, size_t length, uint8_t digest[SHA1_SIZE]);

#endif
