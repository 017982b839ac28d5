/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two points where what this server does can be observed, in every way in: the AF_XDP loop, the
 * UDP and the TCP listener. Both are empty, and cost no instruction; a capture, a query log or
 * dnstap is to be put in here, and nowhere else.
 *
 * They run in the answering thread, once a packet: no lock, no system call, no allocation. What
 * they are given belongs to that thread and is only lent: a tap copies what it keeps, into memory
 * of its own thread that somebody else drains.
 */
#ifndef XDPKIT_TAP_H
#define XDPKIT_TAP_H

#include <stddef.h>
#include <linux/types.h>

#include "steer.h"

struct request;

/*
 * The outcome of a packet is known, and has just been counted: once for each, ANSWER or DROP.
 *
 * `rq` has the request's source, port, service and arrival; of an ANSWER, payload and length are
 * the reply's, which overwrote the request (a DNS reply repeats its question). It must not be read
 * after a verdict of XDPKIT_REQUEST_DROPS, which end a packet before all of `rq` was set.
 */
static inline void tap_outcome(const struct request *rq, enum verdict verdict)
{
	(void)rq, (void)verdict;
}

/*
 * A reply is about to be given to the kernel, complete: times, digests and checksums are in it.
 * `bytes` is the whole frame (AF_XDP), the datagram's payload (UDP), or the message with its two
 * bytes of length (TCP). The kernel may still refuse it, which tap_outcome() of a UDP reply then
 * says (not_sent).
 */
static inline void tap_reply(const void *bytes, size_t length)
{
	(void)bytes, (void)length;
}

#endif
