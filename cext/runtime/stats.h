/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters of one answering thread. Only that thread writes, with plain stores; the control
 * plane reads at any time (aligned 64-bit loads do not tear) and never resets.
 */
#ifndef XDPKIT_STATS_H
#define XDPKIT_STATS_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

#include "steer.h"

enum verdict_kind { KIND_TAKE, KIND_PASS, KIND_ANSWER, KIND_DROP };

struct stats {
	_Alignas(64) uint64_t verdict[VERDICT_COUNT];
	uint64_t csum_partial; /* UDP checksums accepted as the bare pseudo-header sum */
	uint64_t stamp_hw;     /* NTP receive times from the NIC's clock */
	uint64_t stamp_xdp;    /* from the XDP program */
	uint64_t stamp_kernel; /* from SO_TIMESTAMPNS */
	uint64_t stamp_clock;  /* from this thread's own clock read */
	uint64_t batches;      /* receive batches that were not empty */
	uint64_t kicks;        /* system calls that made the kernel transmit */
	uint64_t waits;        /* times the thread blocked for lack of work */
	uint64_t heartbeat;    /* turns of the loop, at least one per second */
};

/* Whether the sender gets a reply. */
static inline bool verdict_answers(enum verdict v)
{
	return v >= VERDICT_echo_answered && v < VERDICT_bad_frame;
}

#endif
