// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* what runtime/thread.h needs */
#include "xdp/observe.h"

#include "capture/capture.h"

void worker_capture_batch(struct worker *w, const struct snapshot *snap, uint32_t n)
{
	w->capture = capture_batch(snap->capture, w->state->thread, n);
}

void worker_capture_request(struct worker *w, const struct snapshot *snap, const uint8_t *data,
			    uint32_t length, const struct packet *packet, enum verdict verdict,
			    uint32_t i)
{
	const struct request *rq = &packet->request;
	struct capture_view view = {.thread = w->state->thread};
	enum stamp_source source;
	struct capture_kept *kept;
	uint32_t payload = 0;

	if (verdict == VERDICT_PENDING) {
		view.source = rq->source;
		view.message = rq->payload;
		view.length = rq->length;
		view.ip_version = rq->ip_version;
		view.service = rq->service;
		payload = (uint32_t)(rq->payload - data);
	}
	kept = capture_request(w->capture, i, &view, data, length, payload);
	if (!kept)
		return;
	kept->record.kind = CAPTURE_FRAME;
	kept->record.rx_ns = clock_stamp(w, &snap->phc, data, &source);
	capture_copy(w->capture, view.thread, i);
}

void worker_capture_outcomes(struct worker *w, uint32_t first, uint32_t n)
{
	uint32_t replies = 0, at;

	for (uint32_t i = 0; i < n; i++)
		replies += verdict_answers((enum verdict)w->packet[i].outcome);
	at = w->xsk->tx.at - replies;
	for (uint32_t i = 0; i < n; i++) {
		enum verdict verdict = (enum verdict)w->packet[i].outcome;
		const struct xdp_desc *tx = ring_desc(&w->xsk->tx, at);

		if (verdict_answers(verdict)) {
			capture_outcome(w->capture, w->state->thread, first + i, verdict,
					w->xsk->umem + tx->addr, tx->len);
			at++;
		} else {
			capture_outcome(w->capture, w->state->thread, first + i, verdict, NULL, 0);
		}
	}
}

void worker_observe(struct worker *w, const struct snapshot *snap, uint32_t n)
{
	uint64_t now = clock_ns(CLOCK_REALTIME);

	if (snap->latency) {
		/* Arrivals are in TAI; without stamps in front of frames they are any bytes. */
		uint64_t tai_ns = w->clock.tai_ns, sent_ns = tai_ns + now - w->clock.utc_ns;
		struct latency *latency = &w->state->latency;

		for (uint32_t i = 0; i < w->batch_index; i++)
			latency_add(latency, sent_ns, w->own_clock ? 0 : w->arrival[i], tai_ns);
	}
	if (w->capture)
		capture_finish(w->capture, w->state->thread, n, now);
}
