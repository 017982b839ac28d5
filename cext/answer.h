/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request in, one reply out, in the same bytes. The three doors (AF_XDP loop, kernel sockets,
 * the bytes -> bytes call) fill a struct request and call answer(); nothing else decides a reply,
 * so that equal arguments give equal payloads whichever way the request came.
 */
#ifndef XDPKIT_ANSWER_H
#define XDPKIT_ANSWER_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

#include "steer.h"

struct snapshot;
struct dns_query;

/*
 * A request as its door saw it. The door owns the memory; `payload` has `room` writable bytes, of
 * which the first `length` are the request. answer() writes the reply over them and sets `length`.
 * `source` points at 4 or 16 bytes in network order, by `ip_version`; the port is in host order.
 */
struct request {
	uint8_t *payload;
	uint32_t length;
	uint32_t room;
	const uint8_t *source;
	uint16_t source_port;
	uint8_t ip_version; /* 4 or 6 */
	uint8_t service;    /* enum service */
	uint64_t rx_ns;     /* arrival, nanoseconds of UTC since 1970 */
};

/*
 * Answers `rq` from `snap`. An ANSWER verdict means that the reply is in place and `rq->length` is
 * its length; a DROP verdict that there is none. A reply of SERVICE_ntp is whole only when
 * ntp_stamp() has put the transmit timestamp in, which the door does as late as it can.
 */
enum verdict answer(const struct snapshot *snap, struct request *rq);

/*
 * The same in three steps, for a door that has many requests at hand: begin every one, prefetch for
 * those that are pending, end them. answer_begin() returns VERDICT_redirected for a request that is
 * pending, else what answer() would.
 */
enum verdict answer_begin(const struct snapshot *snap, struct request *rq, struct dns_query *query);
void answer_prefetch(const struct snapshot *snap, struct dns_query *query);
enum verdict answer_end(const struct snapshot *snap, struct request *rq,
			const struct dns_query *query);

/*
 * True when a frame off the wire claims a source that is this host's own, loopback, or a subnet's
 * broadcast. The kernel drops such martians; on the ring there is no kernel in front.
 */
bool answer_forged(const struct snapshot *snap, const struct request *rq);

#endif
