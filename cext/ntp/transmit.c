// SPDX-License-Identifier: Apache-2.0
#include "ntp/transmit.h"

#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "frame/frame.h"
#include "runtime/thread_state.h"
#include "ntp/ntp.h"

/* A transmit time further from the kick than this is of another clock, or of another frame. */
#define TRANSMIT_MAX_NS CLOCK_SECOND_NS

/* No digest takes longer: what was measured then was something else. */
#define TRANSMIT_MAC_MAX_NS 10000.0

/* The clock's time when the batch's digests will be made, which is before its first frame leaves.
 */
static uint64_t ready_ns(const struct transmit *how)
{
	uint64_t now_ns = clock_ns(CLOCK_REALTIME);

	return how->keyed ? now_ns + (uint64_t)(how->mac_ns * how->keyed) : now_ns;
}

/* Learns what a digest takes from a batch whose digests were to be ready at `ready`. */
static void learn_mac(struct transmit *how, uint64_t ready)
{
	double late = (double)(int64_t)(clock_ns(CLOCK_REALTIME) - ready);

	/* An eighth of the new: a thread put off its CPU in between does not count for much. */
	how->mac_ns += late / how->keyed / 8;
	if (how->mac_ns < 0 || how->mac_ns > TRANSMIT_MAC_MAX_NS)
		how->mac_ns = 0;
	how->keyed = 0;
}

void transmit_batch(struct thread_state *state, struct tx_record *const *records, uint32_t n)
{
	struct transmit *how = &state->transmit;
	uint64_t ready = ready_ns(how), sent_ns = ready;
	uint64_t transmit = ntp_time(ready), sum;

	if (how->compensate)
		transmit_fit_begin(&how->fit, ready);
	for (uint32_t i = 0; i < n; i++) {
		struct tx_record *d = records[i];

		if (how->compensate) {
			sent_ns = ready + transmit_fit_delay(&how->fit, d->batch_index);
			transmit = ntp_time(sent_ns);
		}
		sum = ntp_finish(state, d, transmit);
		if (d->udp)
			frame_checksum_added(d->udp, sum);
		if (d->completion) {
			d->completion->sent_ns = sent_ns;
			d->completion->batch_index = d->batch_index;
			d->completion->save = d->save;
		}
	}
	if (how->keyed)
		learn_mac(how, ready);
}

void transmit_completed(struct thread_state *state, const uint8_t *data, const struct phc_map *phc,
			int64_t tai_offset_s)
{
	struct tx_headroom head;
	uint64_t stamp, utc_ns;
	int64_t error;

	memcpy(&head, data - sizeof head, sizeof head);
	if (!head.completion.sent_ns)
		return;
	stamp = head.tx_stamp;
	if (state->transmit.source == TRANSMIT_HARDWARE)
		stamp = phc_to_tai(phc, stamp);
	if (!stamp) {
		state->counts.tx_missing++;
		return;
	}
	utc_ns = stamp - (uint64_t)(tai_offset_s * CLOCK_SECOND_NS);
	error = (int64_t)(utc_ns - head.completion.sent_ns);
	if (error > TRANSMIT_MAX_NS || error < -TRANSMIT_MAX_NS) {
		state->counts.tx_disbelieved++;
		return;
	}
	state->counts.tx_true++;
	state->counts.tx_error[ntp_error_bucket(error)]++;
	if (state->transmit.compensate)
		transmit_fit_note(&state->transmit.fit, error, head.completion.batch_index);
	if (head.completion.save)
		ntp_saved_correct(&state->saved,
				  load_be64(data + head.completion.payload +
					    offsetof(struct ntp_header, receive)),
				  ntp_time(utc_ns) & ~NTP_LOW_BIT);
}
