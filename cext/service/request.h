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

/* What a reply's checksum can be made of, besides summing its payload. */
enum reply_sum {
	REPLY_SUM_NONE = 0, /* nothing */
	REPLY_SUM_SAME,     /* the request's: the reply is the request */
	REPLY_SUM_BEGUN,    /* `sum`, to which tx_stamp_batch() adds what it writes */
};

/*
 * The caller of answer() owns the memory; `payload` has `room` writable bytes, of which the first
 * `length` are the request. answer() writes the reply over them and sets `length`. `source` points
 * to 4 or 16 bytes in network order, by `ip_version`; the port is in host order. Who
 * makes a frame of the reply sets `reply_sum` to none first; a service that knows better says so.
 */
struct request {
	uint8_t *payload;
	uint32_t length;
	uint32_t room;
	const uint8_t *source;
	uint16_t source_port;
	uint8_t service;    /* enum service_id */
	uint8_t ip_version; /* 4 or 6 */
	uint8_t reply_sum;  /* enum reply_sum */
	bool tcp;           /* over TCP: the reply is not subject to UDP's size limits */
	uint64_t rx_ns;     /* arrival, nanoseconds of UTC since 1970 */
	uint64_t sum;       /* of the reply's payload (frame/checksum.h), if reply_sum is "begun" */
};

#endif
