/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of NTP's interleaved mode (RFC 9769), as the load generator plays them. Each has one
 * request open at a time and asks again once that is answered or given up: it sends back the
 * receive timestamp of the last reply it got, and is told when that reply left.
 */
#ifndef XDPKIT_BLAST_CLIENTS_H
#define XDPKIT_BLAST_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "loadgen/latency.h"

/* Requests that can be open at a time: a DNS id's range, so that an id names one slot. */
#define LOADGEN_WINDOW 65536

/* What a client keeps of its last reply: 32.32 NTP timestamps, host order. */
struct loadgen_client {
	uint64_t receive;  /* in it; 0: none has come yet */
	uint64_t transmit; /* in it, if that was its own time of departure (basic), else 0 */
	uint64_t arrived;  /* when it came */
};

struct loadgen_clients {
	uint32_t count;                 /* 0: plain requests */
	uint32_t next, end;             /* of the ring of those that may ask, free-running */
	uint16_t ready[LOADGEN_WINDOW]; /* that ring, of clients by number */
	uint16_t asked[LOADGEN_WINDOW]; /* the client of the request in a slot of the window */
	struct loadgen_client client[LOADGEN_WINDOW];

	/* Right replies. */
	uint64_t basic, interleaved;
	/*
	 * Of basic replies whose departure was told in the next: against the transmit timestamp
	 * that they carried themselves.
	 */
	uint64_t same, later, earlier;
	struct loadgen_times underway; /* from the departure that was told to the arrival */
};

/* `count` new clients, 1 to LOADGEN_WINDOW of them, all ready to ask. */
void loadgen_clients_open(struct loadgen_clients *clients, uint32_t count);

/* How many may ask now. */
static inline uint32_t loadgen_clients_ready(const struct loadgen_clients *clients)
{
	return clients->end - clients->next;
}

/*
 * Makes `payload`, an NTP request whose transmit timestamp is `mark`, that of a client that is
 * ready: from its second request on the receive timestamp is ~mark.
 */
void loadgen_clients_ask(struct loadgen_clients *clients, uint64_t sequence, uint64_t mark,
			 uint8_t *payload);

/* The request is not open any more: its client may ask again. */
void loadgen_clients_back(struct loadgen_clients *clients, uint64_t sequence);

/* True when a reply with this origin timestamp is an interleaved one to the request of `mark`. */
static inline bool loadgen_clients_follows(uint64_t origin, uint64_t mark)
{
	return origin == ~mark;
}

/*
 * Judges the times in a reply of sound form that came at `arrived_ns` (UTC): the departure that an
 * interleaved one tells lies between the receipt of the request before and the arrival of its
 * reply, for server and generator have one clock. Counts it when right.
 */
bool loadgen_clients_reply(struct loadgen_clients *clients, uint64_t sequence, uint64_t mark,
			   const uint8_t *payload, uint64_t arrived_ns);

#endif
