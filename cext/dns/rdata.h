/* SPDX-License-Identifier: Apache-2.0 */
/* Where the names are in RDATA. */
#ifndef XDPKIT_DNS_RDATA_H
#define XDPKIT_DNS_RDATA_H

#include <stdint.h>

/*
 * Names in the RDATA of a type that may be compressed: the number of bytes before the first one,
 * and how many there are.
 */
static inline void dns_names_of_type(uint16_t type, uint32_t *skip, uint32_t *names)
{
	static const uint8_t count[] = {[2] = 1, [3] = 1, [4] = 1,  [5] = 1,  [6] = 2, [7] = 1,
					[8] = 1, [9] = 1, [12] = 1, [14] = 2, [15] = 1};

	*names = type < sizeof count ? count[type] : 0;
	*skip = type == 15 ? 2 : 0;
}

#endif
