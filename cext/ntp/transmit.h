/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept for the transmit times of NTP replies (ntp/stamp.h). */
#ifndef XDPKIT_TRANSMIT_H
#define XDPKIT_TRANSMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "ntp/transmit_fit.h"

struct ntp_key;

/* Source of a frame's true transmit time. */
enum transmit_source {
	TRANSMIT_KICK,       /* none: there is only the clock read before the kick */
	TRANSMIT_COMPLETION, /* from the kernel, when the frame was sent: CLOCK_TAI */
	TRANSMIT_HARDWARE,   /* from the NIC's clock (PHC) */
};

struct transmit {
	uint8_t source; /* enum transmit_source */
	bool compensate;
	struct transmit_fit fit;
	double mac_ns;  /* time per digest, moving average */
	uint32_t keyed; /* replies in this batch that need one */
};

/*
 * TX completion: what the frame itself carries for when it shows up on the completion ring. The TX
 * metadata lies before the packet (linux Documentation/networking/xsk-tx-metadata.rst), and this
 * struct before the metadata.
 */
struct tx_completion {
	uint64_t sent_ns; /* UTC, as predicted; 0: not an NTP reply */
	uint16_t payload; /* offset from the start of the packet */
	uint8_t batch_index;
	bool save; /* its receive timestamp is a key in the table of saved timestamps */
	uint8_t unused[4];
};

struct tx_headroom {
	struct tx_completion completion;
	uint64_t flags;       /* XDP_TXMD_FLAGS_TIMESTAMP */
	uint64_t tx_stamp;    /* valid once the frame is on the completion ring */
	uint64_t launch_time; /* in the kernel's struct; not used */
};

/* struct xsk_tx_metadata, linux/if_xdp.h since 6.8 and longer since 6.14, and its flag. */
#define TRANSMIT_METADATA_BYTES 24
#define TRANSMIT_METADATA_STAMP 1 /* XDP_TXMD_FLAGS_TIMESTAMP */

_Static_assert(sizeof(struct tx_headroom) == sizeof(struct tx_completion) + TRANSMIT_METADATA_BYTES,
	       "the metadata ends where the packet starts");

/* TX record: a reply that awaits its transmit time. */
struct tx_record {
	uint8_t *payload;
	uint64_t sum; /* of all that a frame's UDP checksum covers; 0: no frame, no checksum */
	struct tx_completion *completion; /* NULL: no timestamp requested */
	const struct ntp_key *key;        /* NULL: no digest */
	uint16_t mac_at;                  /* offset of the reply's MAC */
	uint8_t version;                  /* of the message; sets the digest's length */
	uint8_t batch_index;              /* the frame's */
	bool stamp; /* false: carries the time of an earlier reply (interleaved) */
	bool save;  /* its own transmit time is saved for the next request */
};

#endif
