/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the slow path's sockets are bound: what a capture writes into the headers that it makes.
 * A socket's number is in its epoll tag. Written before the socket is added; a number is given to
 * another socket as late as possible.
 */
#ifndef XDPKIT_LOCAL_ADDRESS_H
#define XDPKIT_LOCAL_ADDRESS_H

#include <stdint.h>
#include <linux/types.h>

#include "steer.h"

/* As many as can be served on the ring; number 0 is unknown, as are all that do not fit. */
#define LOCAL_ADDRESSES (STEER_KEYS + 1)

struct local_address {
	uint8_t address[16]; /* network order */
	uint16_t port;       /* host order */
};

#endif
