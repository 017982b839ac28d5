/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture's ring: one answering thread writes records, one process reads them, over two memfds.
 *
 *   records (the reader maps them read-only): a page with struct capture_head, then the bytes
 *   tails (the reader writes): a cache line for each ring, how far it has read
 *
 * Positions only increase; a position's low bits are the place. The writer believes nothing of the
 * reader: a tail that cannot be is a full ring, and what is written stays within the ring whatever
 * the tail is. A full ring loses the record, and counts it: the writer never waits.
 */
#ifndef XDPKIT_CAPTURE_RING_H
#define XDPKIT_CAPTURE_RING_H

#include <stdbool.h>
#include <stdint.h>

#define CAPTURE_PAGE      4096
#define CAPTURE_TAIL_STEP 64

/* Written by the thread, read by the reader. */
struct capture_head {
	uint64_t head;    /* position up to which records are complete; atomic */
	uint64_t seen;    /* outcomes since the capture began */
	uint64_t matched; /* of those: the filter wants them */
	uint64_t sampled; /* of those: one in so many. Captured or lost */
	uint64_t lost;    /* of those: the ring was full */
};

enum capture_kind {
	CAPTURE_PAD,   /* up to the end of the ring: only `size` and `kind` are there */
	CAPTURE_FRAME, /* Ethernet frames */
	CAPTURE_UDP,   /* payloads */
	CAPTURE_TCP,   /* messages, each with its length in front */
};

/* A packet and its reply: host byte order, addresses in network order. */
struct capture_record {
	uint32_t size; /* of all, a multiple of 8 */
	uint8_t kind;  /* enum capture_kind */
	uint8_t verdict;
	uint8_t service;    /* enum service_id; none: not a valid request */
	uint8_t ip_version; /* of the addresses below, which frames do not need */
	uint64_t rx_ns;     /* nanoseconds of UTC */
	uint64_t tx_ns;
	uint32_t request; /* bytes after this header */
	uint32_t reply;   /* bytes after those; 0: none */
	uint32_t rx_at;   /* TCP: bytes of the stream before the request, and before the reply */
	uint32_t tx_at;
	uint16_t port, local_port;
	uint16_t payload; /* where the request's payload starts */
	uint16_t thread;  /* enum capture_thread, or the RX queue */
	uint8_t source[16], local[16];
};

/* One per session and thread; the thread's, but for `tail`. */
struct capture_ring {
	_Alignas(64) struct capture_head *shared; /* NULL: no such thread */
	uint8_t *bytes;
	const uint64_t *tail; /* the reader's */
	uint64_t head;
	uint32_t size; /* a power of two */
	uint32_t turn; /* of sampling: those since the last one */
};

static inline uint32_t capture_size(uint32_t request, uint32_t reply)
{
	return ((uint32_t)sizeof(struct capture_record) + request + reply + 7) & ~7u;
}

/* Adds a record, or counts it as lost; `record->size` is set here. */
void capture_ring_put(struct capture_ring *ring, struct capture_record *record,
		      const uint8_t *request, const uint8_t *reply);

/*
 * For the reader: the record at `*at` of a ring's `size` bytes, where those up to `head` are
 * complete; NULL: none. `*at` moves on. Returns NULL with `*broken` for what no writer of ours
 * writes.
 */
const struct capture_record *capture_ring_next(const uint8_t *bytes, uint32_t size, uint64_t head,
					       uint64_t *at, bool *broken);

#endif
