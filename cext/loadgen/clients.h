/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load generator's simulated clients of NTP interleaved mode (RFC 9769). Each has one request
 * outstanding at a time and sends the next once that is answered or has timed out: it returns the
 * receive timestamp of its last reply, and the server reports when that reply left.
 */
#ifndef XDPKIT_LOADGEN_CLIENTS_H
#define XDPKIT_LOADGEN_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "loadgen/latency.h"

/* Maximum outstanding requests: the range of a DNS ID, so that an ID identifies one slot. */
#define LOADGEN_WINDOW 65536

/* What a client keeps from its last reply: 32.32 NTP timestamps, host order. */
struct loadgen_client {
	uint64_t receive;  /* its receive timestamp; 0: no reply yet */
	uint64_t transmit; /* its transmit timestamp if it was basic, else 0 */
	uint64_t arrived;  /* when it arrived */
};

struct loadgen_clients {
	uint32_t count;                     /* 0: no simulated clients, plain requests */
	uint32_t next, end;                 /* of the ring `ready`, free-running */
	uint16_t ready[LOADGEN_WINDOW];     /* ring of clients that may send, by number */
	uint16_t requester[LOADGEN_WINDOW]; /* the client of the request in each window slot */
	struct loadgen_client client[LOADGEN_WINDOW];

	/* Correct replies. */
	uint64_t basic, interleaved;
	/*
	 * Basic replies whose transmit time the next reply reported, by how that compares with
	 * their own transmit timestamp.
	 */
	uint64_t same, later, earlier;
	struct loadgen_times underway; /* from the reported transmit time to the arrival */
};

/* Creates `count` clients, 1 to LOADGEN_WINDOW, all ready to send. */
void loadgen_clients_open(struct loadgen_clients *clients, uint32_t count);

/* How many may send now. */
static inline uint32_t loadgen_clients_ready(const struct loadgen_clients *clients)
{
	return clients->end - clients->next;
}

/*
 * Turns `payload`, an NTP request with transmit timestamp `mark`, into the request of a ready
 * client: from the client's second request on, its receive timestamp is ~mark.
 */
void loadgen_clients_ask(struct loadgen_clients *clients, uint64_t sequence, uint64_t mark,
			 uint8_t *payload);

/* The request is no longer outstanding: its client may send again. */
void loadgen_clients_release(struct loadgen_clients *clients, uint64_t sequence);

/* Whether a reply with this origin timestamp is an interleaved reply to the request `mark`. */
static inline bool loadgen_clients_is_interleaved(uint64_t origin, uint64_t mark)
{
	return origin == ~mark;
}

/*
 * Checks the times in a well-formed reply that arrived at `arrived_ns` (UTC): the transmit time
 * that an interleaved reply reports must lie between receipt of the previous request and arrival of
 * its reply, as server and generator share a clock. Counts the reply if correct.
 */
bool loadgen_clients_reply(struct loadgen_clients *clients, uint64_t sequence, uint64_t mark,
			   const uint8_t *payload, uint64_t arrived_ns);

#endif
