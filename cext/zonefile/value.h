/* SPDX-License-Identifier: Apache-2.0 */
/* Words that are numbers, times, and addresses. Each function says whether it is sure. */
#ifndef XDPKIT_ZONEFILE_VALUE_H
#define XDPKIT_ZONEFILE_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "zonefile/token.h"

#define TTL_MAX 0x7fffffffu /* RFC 2181 section 8: larger ones have another meaning */

/* A decimal number without sign, at most `most`. */
bool value_number(const struct token *word, uint64_t most, uint32_t *value);

/* Seconds, or with units as in 1w2d3h4m5s. From 2^31 to below 2^32 they count as 0, and are
 * `large`. */
bool value_ttl(const struct token *word, uint32_t *seconds, bool *large);

/* YYYYMMDDHHmmSS, or seconds since 1970: RFC 4034 section 3.2. */
bool value_time(const struct token *word, uint32_t *seconds);

/* Network order: 4 bytes, 16 bytes. */
bool value_ipv4(const struct token *word, uint8_t *address);
bool value_ipv6(const struct token *word, uint8_t *address);

/* Whether a word is this one of capital letters, in any case. */
bool value_is(const struct token *word, const char *capitals);

static inline uint8_t value_upper(uint8_t c)
{
	return c >= 'a' && c <= 'z' ? c - 32 : c;
}

#endif
