/* SPDX-License-Identifier: Apache-2.0 */
/* RDATA of a master file in wire format. */
#ifndef XDPKIT_ZONEFILE_RDATA_H
#define XDPKIT_ZONEFILE_RDATA_H

#include <stdint.h>

#include "zonefile/name.h"
#include "zonefile/token.h"

#define RDATA_MAX_BYTES 65535 /* RFC 1035 section 3.2.1: RDLENGTH has 16 bits */

/*
 * Reads the data of a record of `type`, to the end of the record, into `to`, of RDATA_MAX_BYTES.
 * Names are below `origin`. Returns its length, or -1 for what is not certainly right.
 */
int32_t rdata_read(struct text *text, uint16_t type, const struct name *origin, uint8_t *to);

#endif
