/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transmit times of NTP replies: predicted and written into the replies of a batch just before
 * the kick, and measured afterwards where the kernel or the NIC tells when each frame left. One
 * clock read serves the batch; with compensation a frame's place in it counts too
 * (ntp/transmit_fit.h).
 */
#ifndef XDPKIT_TRANSMIT_H
#define XDPKIT_TRANSMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/phc.h"
#include "ntp/transmit_fit.h"

struct thread_state;
struct ntp_key;

/* Where the true transmit time of a frame comes from. */
enum transmit_source {
	TRANSMIT_KICK,       /* from nowhere: the clock read before the kick is all there is */
	TRANSMIT_COMPLETION, /* the kernel's, when the frame was sent: CLOCK_TAI */
	TRANSMIT_HARDWARE,   /* the NIC's own clock */
};

struct transmit {
	uint8_t source; /* enum transmit_source */
	bool compensate;
	struct transmit_fit fit;
	double mac_ns;  /* what a digest takes, running mean */
	uint32_t keyed; /* replies of this batch that want one */
};

/*
 * What a frame's completion needs to know, in the frame: before the packet lies the TX metadata
 * (linux Documentation/networking/xsk-tx-metadata.rst), before that our note.
 */
struct tx_completion {
	uint64_t sent_ns; /* UTC, as predicted; 0: not an NTP reply */
	uint16_t payload; /* offset from the packet's start */
	uint8_t batch_index;
	bool save; /* the receive timestamp in it is in the table of saved ones */
	uint8_t unused[4];
};

struct tx_headroom {
	struct tx_completion completion;
	uint64_t flags;       /* XDP_TXMD_FLAGS_TIMESTAMP */
	uint64_t tx_stamp;    /* filled in when the frame is on the completion ring */
	uint64_t launch_time; /* of the kernel's struct, not used */
};

/* struct xsk_tx_metadata, linux/if_xdp.h since 6.8 and longer since 6.14; and its flag. */
#define TRANSMIT_METADATA_BYTES 24
#define TRANSMIT_METADATA_STAMP 1 /* XDP_TXMD_FLAGS_TIMESTAMP */

_Static_assert(sizeof(struct tx_headroom) == sizeof(struct tx_completion) + TRANSMIT_METADATA_BYTES,
	       "the metadata ends where the packet starts");

/* A reply that waits for its transmit time. */
struct tx_record {
	uint8_t *payload;
	uint8_t *udp; /* its header, of a frame; NULL: no checksum to bring up to date */
	struct tx_completion *completion; /* NULL: its transmit time will not be known */
	const struct ntp_key *key;        /* NULL: no digest */
	uint16_t mac_at;                  /* where the reply's MAC begins */
	uint8_t version;                  /* of the message, which the digest's length depends on */
	uint8_t batch_index;              /* in the batch */
	bool stamp; /* false: the time of an earlier reply is in it (interleaved) */
	bool save;  /* its own transmit time will be asked for */
};

/* Puts transmit times into the `n` NTP replies of a batch: the last thing before the kick. */
void transmit_batch(struct thread_state *state, struct tx_record *const *records, uint32_t n);

/*
 * Asks for the transmit time of the frame that begins at `data`, with the NTP reply `payload` in
 * it. Returns the note that transmit_batch() completes.
 */
static inline struct tx_completion *transmit_ask(uint8_t *data, const uint8_t *payload)
{
	struct tx_headroom *head = (struct tx_headroom *)(data - sizeof *head);

	*head = (struct tx_headroom){
		.completion.payload = (uint16_t)(payload - data),
		.flags = TRANSMIT_METADATA_STAMP,
	};
	return &head->completion;
}

/* Marks the frame as one that nothing is asked for. */
static inline void transmit_skip(uint8_t *data)
{
	((struct tx_headroom *)(data - sizeof(struct tx_headroom)))->completion.sent_ns = 0;
}

/* Learns from a frame that has left; `phc` is the NIC's clock, `tai_offset_s` TAI less UTC. */
void transmit_completed(struct thread_state *state, const uint8_t *data, const struct phc_map *phc,
			int64_t tai_offset_s);

#endif
