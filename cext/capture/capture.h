/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captures as the answering threads see them: where a packet can be observed, in every way in.
 *
 * A thread calls capture_batch() first, then, if that does not return NULL, capture_request() when
 * it has a packet and has not answered it, capture_outcome() when it knows how it ended, and
 * capture_finish() once for its batch, when replies are complete.
 * All run in that thread: no lock, no system call, no allocation. The snapshot has the set of
 * captures, NULL without one: that is all that it costs then.
 */
#ifndef XDPKIT_CAPTURE_H
#define XDPKIT_CAPTURE_H

#include <stdint.h>

#include "capture/filter.h"
#include "capture/ring.h"

/* Captures at a time. Two people look at a server, and a program or two. */
#define CAPTURE_SESSIONS 4

/* Packets per batch: WORKER_BATCH. */
#define CAPTURE_BATCH 64

/* The largest request that is overwritten by its reply: UDP_ROOM of slowpath/udp_listener.h. */
#define CAPTURE_ROOM 4096

/* Threads by number: the workers' are their queues. */
enum capture_thread { CAPTURE_THREAD_UDP = STEER_QUEUES, CAPTURE_THREAD_TCP, CAPTURE_THREADS };

struct capture_session {
	struct capture_filter filter;
	uint32_t sample; /* one in so many of those that match */
	struct capture_ring ring[CAPTURE_THREADS];
};

/* A request that is kept until its outcome is known; bits of `sure` and `maybe` are sessions. */
struct capture_kept {
	uint8_t sure, maybe;
	const uint8_t *request, *reply; /* all bytes to capture */
	struct capture_record record;
};

/* One per thread: the requests of a batch. */
struct capture_scratch {
	struct capture_kept kept[CAPTURE_BATCH];
	uint8_t bytes[CAPTURE_BATCH][CAPTURE_ROOM];
};

/* Immutable, but for what it points to, which is a thread's own. */
struct capture_set {
	uint32_t sessions;
	struct capture_session *session[CAPTURE_SESSIONS];
	struct capture_scratch *scratch[CAPTURE_THREADS]; /* NULL: no such thread */
};

/*
 * Begins a batch of `n` packets. Returns NULL if no capture wants any of them, as when each takes
 * one in so many of all: then they are counted already, and the other functions are not called.
 */
const struct capture_set *capture_batch(const struct capture_set *set, uint32_t thread, uint32_t n);

/*
 * Decides about a packet that is not answered yet. `view` has what is known of it; `bytes` are
 * those to capture, in which the payload begins at `payload`; `i` is its place in the batch.
 * Returns NULL if no capture wants it; else the caller fills in `record` (rx_ns, kind, and
 * addresses where there are no headers), and calls capture_copy() if the reply overwrites the
 * request.
 */
struct capture_kept *capture_request(const struct capture_set *set, uint32_t i,
				     const struct capture_view *view, const uint8_t *bytes,
				     uint32_t length, uint32_t payload);

/* Copies the request of a packet for which capture_request() did not return NULL. */
void capture_copy(const struct capture_set *set, uint32_t thread, uint32_t i);

/*
 * The outcome of the packet at `i`; `reply` are the bytes that leave, NULL without a reply, and
 * must stay until capture_finish().
 */
void capture_outcome(const struct capture_set *set, uint32_t thread, uint32_t i,
		     enum verdict verdict, const uint8_t *reply, uint32_t length);

/* Writes what is wanted of a batch of `n`, whose replies leave at `tx_ns`. */
void capture_finish(const struct capture_set *set, uint32_t thread, uint32_t n, uint64_t tx_ns);

#endif
