// SPDX-License-Identifier: Apache-2.0
#include "ntp/stamp.h"

#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "frame/frame.h"
#include "runtime/thread_state.h"
#include "ntp/ntp.h"

/* A transmit timestamp further from the kick than this is from another clock or frame. */
#define TRANSMIT_MAX_NS CLOCK_SECOND_NS

/* No digest takes longer; a larger measurement was of something else. */
#define TRANSMIT_MAC_MAX_NS 10000.0

/* When the digests of the batch will be done, which is before its first frame leaves. */
static uint64_t ready_ns(const struct transmit *tx)
{
	uint64_t now_ns = clock_ns(CLOCK_REALTIME);

	return tx->keyed ? now_ns + (uint64_t)(tx->mac_ns * tx->keyed) : now_ns;
}

/* Updates the cost of a digest from a batch whose digests were predicted to be done at `ready`. */
static void learn_mac(struct transmit *tx, uint64_t ready)
{
	double late = (double)(int64_t)(clock_ns(CLOCK_REALTIME) - ready);

	/* Weight 1/8: being preempted in between has little effect. */
	tx->mac_ns += late / tx->keyed / 8;
	if (tx->mac_ns < 0 || tx->mac_ns > TRANSMIT_MAC_MAX_NS)
		tx->mac_ns = 0;
	tx->keyed = 0;
}

void tx_finish(struct thread_state *state, const struct tx_record *record, uint64_t transmit)
{
	uint64_t sum = ntp_finish(state, record, transmit);

	if (record->sum)
		frame_store_checksum(record->payload, checksum_word(record->sum, sum));
}

void tx_stamp_batch(struct thread_state *state, struct tx_record *const *records, uint32_t n)
{
	struct transmit *tx = &state->transmit;
	uint64_t ready = ready_ns(tx), sent_ns = ready;
	uint64_t transmit = ntp_time(ready);

	if (tx->compensate)
		transmit_fit_begin(&tx->fit, ready);
	for (uint32_t i = 0; i < n; i++) {
		struct tx_record *record = records[i];

		if (tx->compensate) {
			sent_ns = ready + transmit_fit_delay(&tx->fit, record->batch_index);
			transmit = ntp_time(sent_ns);
		}
		tx_finish(state, record, transmit);
		if (record->completion) {
			record->completion->sent_ns = sent_ns;
			record->completion->batch_index = record->batch_index;
			record->completion->save = record->save;
		}
	}
	if (tx->keyed)
		learn_mac(tx, ready);
}

void tx_process_completion(struct thread_state *state, const uint8_t *data,
			   const struct phc_map *phc, int64_t tai_offset_s)
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
		transmit_fit_add_error(&state->transmit.fit, error, head.completion.batch_index);
	if (head.completion.save)
		ntp_saved_correct(&state->saved,
				  load_be64(data + head.completion.payload +
					    offsetof(struct ntp_header, receive)),
				  ntp_time(utc_ns) & ~NTP_LOW_BIT);
}
