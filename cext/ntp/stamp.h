/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transmit times of NTP replies: predicted and written into the replies of a batch just before
 * the kick, and measured afterwards if the kernel or the NIC reports when each frame left. One
 * clock read serves the whole batch; with compensation the frame's batch index counts too
 * (ntp/transmit_fit.h).
 */
#ifndef XDPKIT_STAMP_H
#define XDPKIT_STAMP_H

#include "ntp/transmit.h"
#include "runtime/phc.h"

struct thread_state;

/* Completes a reply that leaves at `transmit` (32.32, host order), with its frame's UDP checksum.
 */
void tx_finish(struct thread_state *state, const struct tx_record *record, uint64_t transmit);

/* Writes transmit times into the `n` NTP replies of a batch: the last step before the kick. */
void tx_stamp_batch(struct thread_state *state, struct tx_record *const *records, uint32_t n);

/*
 * Requests a transmit timestamp for the frame at `data`, which contains the NTP reply `payload`.
 * Returns the TX completion, which tx_stamp_batch() fills in.
 */
static inline struct tx_completion *tx_request_timestamp(uint8_t *data, const uint8_t *payload)
{
	struct tx_headroom *head = (struct tx_headroom *)(data - sizeof *head);

	*head = (struct tx_headroom){
		.completion.payload = (uint16_t)(payload - data),
		.flags = TRANSMIT_METADATA_STAMP,
	};
	return &head->completion;
}

/* Marks the frame as one without a requested timestamp. */
static inline void tx_skip_timestamp(uint8_t *data)
{
	((struct tx_headroom *)(data - sizeof(struct tx_headroom)))->completion.sent_ns = 0;
}

/* Evaluates a completed frame; `phc` is the NIC's clock, `tai_offset_s` is TAI minus UTC. */
void tx_process_completion(struct thread_state *state, const uint8_t *data,
			   const struct phc_map *phc, int64_t tai_offset_s);

#endif
