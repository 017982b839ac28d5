/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker's packets look like to captures and to the latency histogram. */
#ifndef XDPKIT_OBSERVE_H
#define XDPKIT_OBSERVE_H

#include <stddef.h>

#include "xdp/worker.h"

/*
 * Notes when the requests of `n` answers entered XDP: the next step may write over the stamps in
 * front of the frames.
 */
static inline void worker_note_arrivals(struct worker *w, const struct xdp_desc *rx, uint32_t n)
{
	const uint8_t *stamps =
		w->xsk->umem - sizeof(struct steer_meta) + offsetof(struct steer_meta, rx_tai_ns);
	uint64_t *to = w->arrival + w->batch_index;

	for (uint32_t i = 0; i < n; i++) {
		memcpy(to, stamps + rx[i].addr, sizeof *to);
		to += verdict_answers((enum verdict)w->packet[i].outcome);
	}
}

/*
 * Not inlined into the loop: the compiler's budget for that is needed by what every packet runs,
 * as instruction counts without a capture show.
 */
#define OBSERVE_APART __attribute__((noinline, cold))

/* Before the first frame of a batch: which captures want something of it. */
OBSERVE_APART void worker_capture_batch(struct worker *w, const struct snapshot *snap, uint32_t n);

/* A frame has been parsed, as `verdict` says; it is the `i`th of the batch. For captures. */
OBSERVE_APART void worker_capture_request(struct worker *w, const struct snapshot *snap,
					  const uint8_t *data, uint32_t length,
					  const struct packet *packet, enum verdict verdict,
					  uint32_t i);

/* The outcomes of the `n` frames of a group are counted, and its replies are on the TX ring. */
OBSERVE_APART void worker_capture_outcomes(struct worker *w, uint32_t first, uint32_t n);

/* The replies of a batch of `n` frames are complete, and about to be sent. */
__attribute__((noinline)) void worker_observe(struct worker *w, const struct snapshot *snap,
					      uint32_t n);

#endif
