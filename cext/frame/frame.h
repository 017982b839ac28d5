/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An Ethernet frame that holds one UDP datagram: parsed and verified on receive, turned around in
 * place for transmit.
 *
 *   eth 14 | up to two VLAN tags, kept | IPv4 20 or IPv6 40 | UDP 8 | payload
 */
#ifndef XDPKIT_FRAME_H
#define XDPKIT_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "service/request.h"
#include "base/bytes.h"
#include "frame/checksum.h"
#include "runtime/snapshot.h"

#define FRAME_ETH_BYTES  14
#define FRAME_TAG_BYTES  4
#define FRAME_IPV4_BYTES 20
#define FRAME_IPV6_BYTES 40
#define FRAME_UDP_BYTES  8

enum frame_checksum {
	FRAME_CHECKSUM_RIGHT,
	FRAME_CHECKSUM_NONE,    /* zero: the sender made none (IPv4 only) */
	FRAME_CHECKSUM_PARTIAL, /* the bare pseudo-header sum: left to hardware that is not there */
};

struct frame {
	uint8_t *data;      /* the destination MAC address; in the caller's memory */
	uint64_t addresses; /* sum of both, for both pseudo-headers and the IPv4 header */
	uint64_t sum;     /* of all that the reply's UDP checksum covers, if reply_sum is "begun" */
	uint8_t checksum; /* enum frame_checksum: the request's UDP checksum */
};

/*
 * Parses the `length` bytes at `data`, of which up to `room` may be written, verifies headers and
 * checksums, and fills `frame` and all of `rq` except rx_ns and sum. Returns VERDICT_PENDING when
 * `rq` is ready to be answered, or the DROP verdict: bad_frame, ip_checksum, udp_checksum,
 * source_address.
 */
enum verdict frame_parse(const struct snapshot *snap, uint8_t *data, uint32_t length, uint32_t room,
			 struct frame *frame, struct request *rq);

/*
 * Makes the headers those of a new packet from this host to the requester: addresses and ports
 * swapped, TTL 64, TOS, ID and flow label 0, DF, both checksums complete over the reply of
 * `rq->length` payload bytes. Returns the frame's new length.
 *
 * Of a reply whose sum has only begun, the UDP checksum is for frame_store_checksum() to write.
 */
uint32_t frame_turn(struct frame *frame, const struct request *rq);

/* Writes the UDP checksum of the payload's datagram from the sum of all that it covers. */
static inline void frame_store_checksum(uint8_t *payload, uint64_t sum)
{
	uint16_t check = checksum_udp(sum);

	memcpy(payload - 2, &check, sizeof check);
}

#endif
