// SPDX-License-Identifier: Apache-2.0
#include "capture/capture.h"

#include <string.h>

/* Whether it has no filter, and its turn comes after the next `n` packets. */
static bool skips(const struct capture_session *session, const struct capture_ring *ring,
		  uint32_t n)
{
	return !session->filter.steps && ring->turn + n < session->sample;
}

const struct capture_set *capture_batch(const struct capture_set *set, uint32_t thread, uint32_t n)
{
	for (uint32_t s = 0; s < set->sessions; s++) {
		const struct capture_ring *ring = &set->session[s]->ring[thread];

		if (ring->shared && !skips(set->session[s], ring, n))
			return set;
	}
	for (uint32_t s = 0; s < set->sessions; s++) {
		struct capture_ring *ring = &set->session[s]->ring[thread];

		if (!ring->shared)
			continue;
		ring->turn += n;
		ring->shared->seen += n;
		ring->shared->matched += n;
	}
	return NULL;
}

/* Whether it is this one's turn among those that match. */
static bool is_sampled(struct capture_ring *ring, uint32_t sample)
{
	ring->shared->matched++;
	if (++ring->turn < sample)
		return false;
	ring->turn = 0;
	return true;
}

struct capture_kept *capture_request(const struct capture_set *set, uint32_t i,
				     const struct capture_view *view, const uint8_t *bytes,
				     uint32_t length, uint32_t payload)
{
	struct capture_scratch *scratch = set->scratch[view->thread];
	struct capture_kept *kept;

	if (!scratch)
		return NULL;
	kept = &scratch->kept[i];
	kept->sure = kept->maybe = 0;
	for (uint32_t s = 0; s < set->sessions; s++) {
		struct capture_session *session = set->session[s];
		struct capture_ring *ring = &session->ring[view->thread];
		enum capture_value value;

		if (!ring->shared)
			continue;
		ring->shared->seen++;
		value = capture_filter_run(&session->filter, view);
		if (value == CAPTURE_UNKNOWN)
			kept->maybe |= (uint8_t)(1u << s);
		else if (value == CAPTURE_TRUE && is_sampled(ring, session->sample))
			kept->sure |= (uint8_t)(1u << s);
	}
	if (!(kept->sure | kept->maybe))
		return NULL;
	kept->request = bytes;
	kept->reply = NULL;
	kept->record = (struct capture_record){
		.service = view->service,
		.ip_version = view->ip_version,
		.request = length,
		.payload = (uint16_t)payload,
		.thread = view->thread,
	};
	if (view->source)
		memcpy(kept->record.source, view->source, view->ip_version == 4 ? 4 : 16);
	return kept;
}

void capture_copy(const struct capture_set *set, uint32_t thread, uint32_t i)
{
	struct capture_scratch *scratch = set->scratch[thread];
	struct capture_kept *kept = &scratch->kept[i];

	if (kept->record.request > CAPTURE_ROOM)
		kept->record.request = CAPTURE_ROOM;
	memcpy(scratch->bytes[i], kept->request, kept->record.request);
	kept->request = scratch->bytes[i];
}

void capture_outcome(const struct capture_set *set, uint32_t thread, uint32_t i,
		     enum verdict verdict, const uint8_t *reply, uint32_t length)
{
	struct capture_scratch *scratch = set->scratch[thread];
	struct capture_kept *kept;

	if (!scratch)
		return;
	kept = &scratch->kept[i];
	kept->record.verdict = (uint8_t)verdict;
	kept->record.reply = reply ? length : 0;
	kept->reply = reply;
}

/* Decides once more, where the outcome matters. */
static bool is_wanted(struct capture_session *session, struct capture_ring *ring,
		      const struct capture_kept *kept)
{
	const struct capture_record *record = &kept->record;
	struct capture_view view = {
		.source = record->service ? record->source : NULL,
		.message = kept->request + record->payload,
		.length = record->request - record->payload,
		.thread = record->thread,
		.ip_version = record->ip_version,
		.service = record->service,
		.verdict = record->verdict,
	};

	/* A reply's headers are as long as its request's. */
	if (kept->reply && record->reply >= record->payload) {
		view.reply = kept->reply + record->payload;
		view.reply_length = record->reply - record->payload;
	}
	return capture_filter_run(&session->filter, &view) == CAPTURE_TRUE &&
	       is_sampled(ring, session->sample);
}

void capture_finish(const struct capture_set *set, uint32_t thread, uint32_t n, uint64_t tx_ns)
{
	struct capture_scratch *scratch = set->scratch[thread];

	for (uint32_t i = 0; scratch && i < n; i++) {
		struct capture_kept *kept = &scratch->kept[i];

		kept->record.tx_ns = tx_ns;
		for (uint32_t s = 0; (kept->sure | kept->maybe) && s < set->sessions; s++) {
			struct capture_session *session = set->session[s];
			struct capture_ring *ring = &session->ring[thread];

			if (kept->sure & 1u << s ||
			    (kept->maybe & 1u << s && is_wanted(session, ring, kept)))
				capture_ring_put(ring, &kept->record, kept->request, kept->reply);
		}
		kept->sure = kept->maybe = 0;
	}
}
