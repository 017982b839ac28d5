/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one AF_XDP loop owns while it runs. Written only by its thread; the control plane reads
 * `stats`.
 */
#ifndef XDPKIT_WORKER_H
#define XDPKIT_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "service/answer.h"
#include "runtime/clock.h"
#include "frame/frame.h"
#include "runtime/thread_state.h"
#include "runtime/phc.h"
#include "runtime/qsbr.h"
#include "runtime/stats.h"
#include "runtime/thread.h"
#include "xdp/xsk.h"

/* Most frames per turn: the order of magnitude of af_xdp.rst and Knot DNS; one kick's budget. */
#define WORKER_BATCH 64

/*
 * Frames per pass: enough to keep every line fill buffer of a core busy (10 to 16 on x86), few
 * enough that what one pass leaves for the next stays in the L1 cache.
 */
#define WORKER_GROUP 16

/* A blocked worker wakes this often, for its heartbeat and to bound a publisher's wait. */
#define WORKER_WAIT_MS 1000

/* The delay before frames that the kernel left on the TX ring are kicked again. */
#define WORKER_FLUSH_MS 1

/* A receive stamp older than this, or from the future, is not trusted. */
#define WORKER_STAMP_MAX_NS 1000000000ull

/* A frame on its way through the loop. */
struct packet {
	struct request request;
	struct frame frame;
	uint8_t outcome; /* enum verdict */
	union query query;
};

struct worker {
	struct stats stats;
	struct xsk *xsk;
	struct qsbr *qsbr;
	struct qsbr_reader *reader;
	struct thread_state *state;
	struct batch_clock clock;
	struct packet packet[WORKER_GROUP];
	bool busy;                /* never sleeps: spins, and busy-polls the device */
	bool wants_tx_timestamp;  /* for the transmit times of NTP replies */
	bool own_clock;           /* frames carry no receive stamp: use the batch's clock */
	uint8_t batch_index;      /* frames of this batch that are on the TX ring */
	uint8_t pending_tx_count; /* NTP replies among them that await a transmit time */
	struct tx_record tx_records[WORKER_BATCH];  /* by position in the RX batch */
	struct tx_record *pending_tx[WORKER_BATCH]; /* those replies */
	const struct capture_set *capture; /* that want something of this batch; NULL: none */
	uint64_t arrival[WORKER_BATCH]; /* by position among the batch's answers: XDP entry, TAI */
	struct thread thread;
};

enum stamp_source { STAMP_CLOCK, STAMP_XDP, STAMP_HW };

/*
 * Receive time of a frame in UTC: the NIC's stamp in front of it; else the XDP program's, which the
 * NIC's is checked against; else the batch's clock.
 */
static inline uint64_t clock_stamp(const struct worker *w, const struct phc_map *phc,
				   const uint8_t *frame, enum stamp_source *source)
{
	struct steer_meta meta;
	uint64_t tai_ns;

	memcpy(&meta, frame - sizeof meta, sizeof meta);
	/* The differences are unsigned: a stamp from the future also looks far too old. */
	if (w->own_clock || !w->clock.trust_stamps ||
	    w->clock.tai_ns - meta.rx_tai_ns > WORKER_STAMP_MAX_NS) {
		*source = STAMP_CLOCK;
		return w->clock.utc_ns;
	}
	tai_ns = phc_to_tai(phc, meta.rx_hw_ns);
	if (tai_ns && meta.rx_tai_ns - tai_ns <= WORKER_STAMP_MAX_NS) {
		*source = STAMP_HW;
	} else {
		*source = STAMP_XDP;
		tai_ns = meta.rx_tai_ns;
	}
	return tai_ns - (uint64_t)(w->clock.tai_offset_s * 1000000000);
}

/* The same for an NTP request, whose stamp's source is counted. */
static inline uint64_t clock_arrival(struct worker *w, const struct phc_map *phc,
				     const uint8_t *frame)
{
	enum stamp_source source;
	uint64_t utc_ns = clock_stamp(w, phc, frame, &source);

	if (source == STAMP_CLOCK)
		w->stats.stamp_clock++;
	else if (source == STAMP_HW)
		w->stats.stamp_hw++;
	else
		w->stats.stamp_xdp++;
	return utc_ns;
}

#endif
