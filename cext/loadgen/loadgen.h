/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load generator's requests and its judgement of replies. A request carries its sequence number
 * (in the NTP transmit field, the DNS id and port, or the echo payload), so that each reply names
 * the request it answers; a slot of the window remembers whether that one is still open.
 *
 *   loadgen_request (loadgen/request.c) -> the server -> loadgen_reply (loadgen/reply.c)
 *              ^                                  |
 *              +---- a client of the interleaved mode asks again (loadgen/clients.h)
 */
#ifndef XDPKIT_BLAST_H
#define XDPKIT_BLAST_H

#include <stdbool.h>
#include <stdint.h>

#include "loadgen/clients.h"
#include "frame/frame.h"
#include "runtime/snapshot.h"

/* Largest request: a DNS query of the longest name with EDNS, or an echo payload. */
#define LOADGEN_PAYLOAD 512

/* A request not answered by then is lost. */
#define LOADGEN_TIMEOUT_NS 1000000000ull

/*
 * How far back a reply may point that names its request by less than a sequence number: 16 times
 * the range of a DNS id, a second at a million a second.
 */
#define LOADGEN_ID_TURNS 16

enum loadgen_judgement {
	LOADGEN_RIGHT,
	LOADGEN_WRONG,
	LOADGEN_DUPLICATE,
	LOADGEN_LATE,
	LOADGEN_STRAY
};

struct loadgen_slot {
	uint64_t sent_ns; /* 0: no request open here */
	uint64_t sequence;
};

struct loadgen {
	/* What to send; set before the first turn. */
	uint8_t header[FRAME_ETH_BYTES + 2 * FRAME_TAG_BYTES + FRAME_IPV6_BYTES + FRAME_UDP_BYTES];
	uint32_t header_bytes;
	uint32_t ip_at; /* offset of the IP header in `header` */
	uint8_t ip_version;
	uint8_t service;
	uint16_t first_port; /* source ports, host order */
	uint16_t ports;
	bool shared;         /* other ports are other generators': no reply of ours goes there */
	uint32_t addresses;  /* source addresses, from the header's own upwards */
	uint32_t echo_bytes; /* payload of an echo request */
	/*
	 * Finished payloads, one behind the other. DNS: queries with id 0. NTP: requests whose
	 * transmit timestamps count up by one, or none for plain ones.
	 */
	const uint8_t *queries;
	const uint32_t *query_at; /* their offsets, and the end of the last */
	uint32_t query_count;
	uint64_t key;   /* sequence numbers are sent XOR this */
	bool versioned; /* DNS: all records of a reply have one TTL, its zone's version */

	/* What became of it. */
	uint64_t sequence, sent, answered, wrong, duplicate, lost, open, oldest;
	uint64_t late;    /* right replies to requests that were given up: lost, and not answered */
	uint32_t version; /* of the last right reply, 0 before it */
	uint64_t versions; /* how often that was another one than before */
	struct loadgen_times latency;
	struct snapshot blank; /* frame_parse() wants one: nothing served, nothing reserved */
	struct loadgen_slot slot[LOADGEN_WINDOW];
	struct loadgen_clients clients;
};

/* Writes the next request as a whole frame at `data`; returns its length. */
uint32_t loadgen_request(struct loadgen *loadgen, uint8_t *data, uint64_t now_ns);

/*
 * Judges a received frame of `length` bytes and counts it. `now_ns` is of the clock that requests
 * were sent by, `arrived_ns` the arrival in UTC, which interleaved clients need.
 */
enum loadgen_judgement loadgen_reply(struct loadgen *loadgen, uint8_t *data, uint32_t length,
				     uint64_t now_ns, uint64_t arrived_ns);

/* Gives up requests that are older than the timeout at `now_ns`; UINT64_MAX gives up all. */
void loadgen_expire(struct loadgen *loadgen, uint64_t now_ns);

/* ---------------------------------------------------------------------------------------------- */

/* A request's finished payload; in the order given: read ahead, however many there are. */
static inline const uint8_t *loadgen_query(const struct loadgen *loadgen, uint64_t sequence,
					   uint32_t *length)
{
	uint64_t index = sequence % loadgen->query_count;

	*length = loadgen->query_at[index + 1] - loadgen->query_at[index];
	return loadgen->queries + loadgen->query_at[index];
}

static inline uint16_t loadgen_port(const struct loadgen *loadgen, uint64_t sequence)
{
	return (uint16_t)(loadgen->first_port + sequence / loadgen->addresses % loadgen->ports);
}

/* Offset from an IP header's start of the last four bytes of its source address. */
static inline uint32_t loadgen_source_end(const struct loadgen *loadgen)
{
	return loadgen->ip_version == 4 ? 12 : 8 + 12;
}

/* Those four bytes of a request. */
static inline uint32_t loadgen_source(const struct loadgen *loadgen, uint64_t sequence)
{
	const uint8_t *first = loadgen->header + loadgen->ip_at + loadgen_source_end(loadgen);

	return load_be32(first) + (uint32_t)(sequence % loadgen->addresses);
}

#endif
