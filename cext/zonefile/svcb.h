/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of SVCB and HTTPS records: RFC 9460 section 2.1. */
#ifndef XDPKIT_ZONEFILE_SVCB_H
#define XDPKIT_ZONEFILE_SVCB_H

#include <stdint.h>

#include "zonefile/token.h"

/*
 * Reads the rest of a record whose RDATA begins at `start`, up to `to`, which has `room` bytes.
 * Returns their number; -1 unless all are alpn, no-default-alpn, port or hints without escapes.
 */
int32_t svcb_parameters(struct text *text, const uint8_t *start, uint8_t *to, uint32_t room);

#endif
