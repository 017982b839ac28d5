/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as hexadecimal digits, base64 and base32. */
#ifndef XDPKIT_ZONEFILE_DIGITS_H
#define XDPKIT_ZONEFILE_DIGITS_H

#include <stdint.h>

#include "zonefile/token.h"

/*
 * Read the rest of a record, whose words may be cut anywhere, into `to`. Return the number of
 * bytes, or -1: for more than `room`, what is not complete, or has another form.
 */
int32_t digits_hex(struct text *text, uint8_t *to, uint32_t room);
int32_t digits_base64(struct text *text, uint8_t *to, uint32_t room);

/* A word of hexadecimal digits. */
int32_t digits_hex_word(const struct token *word, uint8_t *to, uint32_t room);

/* 20 bytes as 32 characters: RFC 4648 section 7 without padding. */
#define BASE32_BYTES 20
bool digits_base32(const struct token *word, uint8_t *to);

#endif
