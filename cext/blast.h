/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load generator's requests and its judgement of replies. A request carries its sequence number
 * (in the NTP transmit field, the DNS id and port, or the echo payload), so that each reply names
 * the request it answers; a slot of the window remembers whether that one is still open.
 */
#ifndef XDPKIT_BLAST_H
#define XDPKIT_BLAST_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "snapshot.h"

/* Requests that can be open at a time: a DNS id's range, so that an id names one slot. */
#define BLAST_WINDOW 65536

/* Largest request: a DNS query of the longest name with EDNS, or an echo payload. */
#define BLAST_PAYLOAD 512

/* Latency buckets: 64 to each power of two of nanoseconds: a percentile is off by 1.6 % at most. */
#define BLAST_BUCKET_BITS 6
#define BLAST_BUCKETS     (64 << BLAST_BUCKET_BITS)

/* A request not answered by then is lost. */
#define BLAST_TIMEOUT_NS 1000000000ull

/* How far back a DNS reply may point: 16 times the range of an id, a second at a million a second.
 */
#define BLAST_ID_TURNS 16

enum blast_judgement { BLAST_RIGHT, BLAST_WRONG, BLAST_DUPLICATE, BLAST_LATE, BLAST_STRAY };

struct blast_slot {
	uint64_t sent_ns; /* 0: no request open here */
	uint64_t sequence;
};

struct blast {
	/* What to send; set before the first turn. */
	uint8_t header[FRAME_ETH_BYTES + 2 * FRAME_TAG_BYTES + FRAME_IPV6_BYTES + FRAME_UDP_BYTES];
	uint32_t header_bytes;
	uint32_t ip_at; /* offset of the IP header in `header` */
	uint8_t ip_version;
	uint8_t service;
	uint16_t first_port; /* source ports, host order */
	uint16_t ports;
	bool shared;            /* other ports are other generators': no reply of ours goes there */
	uint32_t addresses;     /* source addresses, from the header's own upwards */
	uint32_t echo_bytes;    /* payload of an echo request */
	const uint8_t *queries; /* DNS: queries with id 0, one behind the other */
	const uint32_t *query_at; /* their offsets, and the end of the last */
	uint32_t query_count;
	uint64_t key; /* sequence numbers are sent XOR this */

	/* What became of it. */
	uint64_t sequence, sent, answered, wrong, duplicate, lost, open, oldest;
	uint64_t late; /* right replies to requests that were given up: lost, and not answered */
	uint64_t slowest_ns;
	uint64_t histogram[BLAST_BUCKETS];
	struct snapshot blank; /* frame_parse() wants one: nothing served, nothing reserved */
	struct blast_slot slot[BLAST_WINDOW];
};

/* Writes the next request as a whole frame at `data`; returns its length. */
uint32_t blast_request(struct blast *blast, uint8_t *data, uint64_t now_ns);

/* Judges a received frame of `length` bytes and counts it. */
enum blast_judgement blast_reply(struct blast *blast, uint8_t *data, uint32_t length,
				 uint64_t now_ns);

/* Gives up requests that are older than the timeout at `now_ns`; UINT64_MAX gives up all. */
void blast_expire(struct blast *blast, uint64_t now_ns);

#endif
