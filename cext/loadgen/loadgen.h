/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load generator's requests, and how it judges replies. A request carries its sequence number
 * (in the NTP transmit field, the DNS ID and port, or the echo payload), so that each reply
 * identifies its request; a slot of the window tells whether that is still outstanding.
 *
 *   loadgen_request (loadgen/request.c) -> the server -> loadgen_reply (loadgen/reply.c)
 *              ^                                  |
 *              +---- an interleaved-mode client sends again (loadgen/clients.h)
 */
#ifndef XDPKIT_LOADGEN_H
#define XDPKIT_LOADGEN_H

#include <stdbool.h>
#include <stdint.h>

#include "loadgen/clients.h"
#include "frame/frame.h"
#include "runtime/snapshot.h"

/* Largest request: a DNS query for the longest name with EDNS, or an echo payload. */
#define LOADGEN_PAYLOAD 512

/* A request not answered within this time is lost. */
#define LOADGEN_TIMEOUT_NS 1000000000ull

/*
 * How far back to search for the request of a reply that does not carry a full sequence number: 16
 * times the range of a DNS ID, about a second at a million requests per second.
 */
#define LOADGEN_ID_TURNS 16

enum loadgen_judgment {
	LOADGEN_RIGHT,
	LOADGEN_WRONG,
	LOADGEN_DUPLICATE,
	LOADGEN_LATE,
	LOADGEN_STRAY
};

struct loadgen_slot {
	uint64_t sent_ns; /* 0: no outstanding request in this slot */
	uint64_t sequence;
};

struct loadgen {
	/* What to send; set before the first request. */
	uint8_t header[FRAME_ETH_BYTES + 2 * FRAME_TAG_BYTES + FRAME_IPV6_BYTES + FRAME_UDP_BYTES];
	uint32_t header_bytes;
	uint32_t ip_at; /* offset of the IP header in `header` */
	uint8_t ip_version;
	uint8_t service;
	uint16_t first_port; /* source ports, host order */
	uint16_t ports;
	bool shared;         /* replies to other ports belong to other generators */
	uint32_t addresses;  /* number of source addresses, from the header's own up */
	uint32_t echo_bytes; /* payload of an echo request */
	/*
	 * Finished payloads, concatenated. DNS: queries with ID 0. NTP: requests whose transmit
	 * timestamps count up by one; none: plain requests.
	 */
	const uint8_t *queries;
	const uint32_t *query_at; /* their offsets, then the end of the last one */
	uint32_t query_count;
	uint64_t key;   /* sequence numbers are XORed with this */
	bool versioned; /* DNS: the one TTL of all records in a reply is the zone's version */

	/* Results. */
	uint64_t sequence, sent, answered, wrong, duplicate, lost, open, oldest;
	uint64_t late;     /* correct replies after the timeout: counted as lost, not answered */
	uint32_t version;  /* of the last correct reply; 0: none yet */
	uint64_t versions; /* how often that changed */
	struct loadgen_times latency;
	struct snapshot blank; /* for frame_parse(): no services, no reserved addresses */
	struct loadgen_slot slot[LOADGEN_WINDOW];
	struct loadgen_clients clients;
};

/* Writes the next request as a complete frame at `data`; returns its length. */
uint32_t loadgen_request(struct loadgen *loadgen, uint8_t *data, uint64_t now_ns);

/*
 * Judges a received frame of `length` bytes and counts it. `now_ns` is on the clock used for
 * sending, `arrived_ns` the arrival time in UTC, which interleaved clients need.
 */
enum loadgen_judgment loadgen_reply(struct loadgen *loadgen, uint8_t *data, uint32_t length,
				    uint64_t now_ns, uint64_t arrived_ns);

/* Times out requests that are too old at `now_ns`; UINT64_MAX: all of them. */
void loadgen_expire(struct loadgen *loadgen, uint64_t now_ns);

/* ---------------------------------------------------------------------------------------------- */

/* A request's finished payload, used sequentially so that the CPU prefetches them. */
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

/* Offset in an IP header of the last four bytes of its source address. */
static inline uint32_t loadgen_source_end(const struct loadgen *loadgen)
{
	return loadgen->ip_version == 4 ? 12 : 8 + 12;
}

/* Those four bytes for a request. */
static inline uint32_t loadgen_source(const struct loadgen *loadgen, uint64_t sequence)
{
	const uint8_t *first = loadgen->header + loadgen->ip_at + loadgen_source_end(loadgen);

	return load_be32(first) + (uint32_t)(sequence % loadgen->addresses);
}

#endif
