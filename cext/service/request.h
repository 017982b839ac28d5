/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request as its way in received it, and what the reply written over it still needs.
 */
#ifndef XDPKIT_REQUEST_H
#define XDPKIT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

#include "steer.h"

/*
 * The caller of answer() owns the memory; `payload` has `room` writable bytes, of which the first
 * `length` are the request. answer() writes the reply over them and sets `length`. `source` points
 * to 4 or 16 bytes in network order, by `ip_version`; the port is in host order.
 */
struct request {
	uint8_t *payload;
	uint32_t length;
	uint32_t room;
	const uint8_t *source;
	uint16_t source_port;
	uint8_t ip_version; /* 4 or 6 */
	uint8_t service;    /* enum service_id */
	bool tcp;           /* over TCP: the reply is not subject to UDP's size limits */
	uint64_t rx_ns;     /* arrival, nanoseconds of UTC since 1970 */
};

#endif
