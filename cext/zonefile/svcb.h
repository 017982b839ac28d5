/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of SVCB and HTTPS records: RFC 9460 section 2.1. */
#ifndef XDPKIT_ZONEFILE_SVCB_H
#define XDPKIT_ZONEFILE_SVCB_H

#include <stdint.h>

#include "zonefile/token.h"

/*
 * Reads the rest of a record into `to`, which has `room` bytes. Returns their number; -1 for what
 * is not certainly right, such as escapes in a list. What the peers load is right: parameters of an
 * alias, no-default-alpn alone, any keyNNNNN.
 */
int32_t svcb_parameters(struct text *text, uint8_t *to, uint32_t room);

#endif
