/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one answering thread remembers from request to request. No other thread touches it; the
 * control plane reads the counts. Tables are allocated at full size.
 */
#ifndef XDPKIT_THREAD_STATE_H
#define XDPKIT_THREAD_STATE_H

#include <stdint.h>

#include "runtime/clock.h"
#include "dns/counts.h"
#include "geo/generator.h"
#include "admit/ratelimit.h"
#include "ntp/counts.h"
#include "ntp/keys.h"
#include "ntp/interleaved.h"
#include "admit/rrl.h"
#include "ntp/transmit.h"
#include "runtime/latency.h"

struct snapshot;

/*
 * The server's variables (RFC 5905 section 9.1) as the replies of one batch carry them, in network
 * order.
 */
struct ntp_now {
	uint64_t first;         /* bytes 0 to 7 without version, mode and poll */
	uint64_t second;        /* bytes 8 to 15: root dispersion, reference id */
	uint64_t reference;     /* without the bits that come from the receive timestamp: */
	uint64_t own_reference; /* its seconds, where the clock is its own reference */
	int64_t utc_to_mono_ns; /* host order */
	bool plain;             /* neither access list nor limit */
};

struct thread_state {
	struct ntp_now now;
	uint64_t mono_ns; /* of this batch */
	uint64_t random;  /* state of random_next(), never 0 */
	uint64_t seed;    /* of the sketch of clients, the same in all threads */
	uint32_t now_s;   /* UTC at the start of the batch, seconds since 1970 modulo 2^32 */
	struct geo_generator draws; /* of GeoDNS, seeded by the owner */
	struct dns_counts dns;
	struct ntp_saved_table saved;
	struct ratelimit_table *ratelimit; /* of this batch; NULL: the snapshot has no limit */
	struct ratelimit_table *ratelimit_table; /* NULL: none; owned by the thread's owner */
	struct rrl_table *rrl;                   /* the same for DNS answers */
	struct ntp_digest digest;
	struct transmit transmit;
	struct ntp_counts counts;
	struct dns_traffic traffic;
	struct latency latency;
	uint16_t thread; /* its number for captures: an RX queue, or enum capture_thread */
};

/* Called before the first reply of a batch. */
void thread_state_begin_batch(struct thread_state *state, const struct snapshot *snap,
			      const struct batch_clock *clock);

/* xorshift64 (Marsaglia 2003): for choices that need not be unpredictable. */
static inline uint32_t random_next(struct thread_state *state)
{
	uint64_t x = state->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	state->random = x;
	return (uint32_t)(x >> 32);
}

#endif
