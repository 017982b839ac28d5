// SPDX-License-Identifier: Apache-2.0
#include "runtime/thread_state.h"

#include "runtime/snapshot.h"

/* NTP short format: units of a second (RFC 5905 section 6, figure 3). */
#define SHORT_SECOND 65536

#define LEAP_UNSYNCHRONIZED    3  /* RFC 5905 figure 9 */
#define STRATUM_UNSYNCHRONIZED 16 /* RFC 5905 figure 11: sent as 0 */

/* The distance to the root of an unsynchronized server: one second, as in chrony. */
static const struct ntp_state unsynchronized = {
	.leap = LEAP_UNSYNCHRONIZED,
	.stratum = STRATUM_UNSYNCHRONIZED,
	.root_delay = SHORT_SECOND,
	.root_dispersion = SHORT_SECOND,
};

/*
 * The root dispersion, grown since its update by the clock's tolerance (RFC 5905 section 7.1, PHI)
 * and rounded up.
 */
static uint32_t dispersion(const struct ntp_state *ntp, int64_t mono_ns)
{
	uint64_t age_ns =
		mono_ns > ntp->updated_ns ? (uint64_t)mono_ns - (uint64_t)ntp->updated_ns : 0;
	/* Milliseconds times ppm is in units of 1e-9 s. */
	uint64_t grown =
		(age_ns / 1000000 * ntp->drift_ppm * SHORT_SECOND + 999999999) / 1000000000;

	grown += ntp->root_dispersion;
	return grown < UINT32_MAX ? (uint32_t)grown : UINT32_MAX;
}

static void ntp_now(struct ntp_now *now, const struct ntp_state *ntp,
		    const struct batch_clock *clock)
{
	int64_t mono_ns = (int64_t)clock->mono_ns;
	const struct ntp_state *say = ntp;
	uint8_t leap;

	if (ntp->expires_ns && mono_ns >= ntp->expires_ns)
		say = &unsynchronized;
	leap = say->leap;
	/* The announced leap second is over; the source will say so a little later. */
	if (say->leap_ends_ns && clock->utc_ns >= say->leap_ends_ns)
		leap = 0;
	now->first = __builtin_bswap64(
		(uint64_t)leap << 62 |
		(uint64_t)(say->stratum < STRATUM_UNSYNCHRONIZED ? say->stratum : 0) << 48 |
		(uint64_t)(uint8_t)ntp->precision << 32 | say->root_delay);
	now->second = __builtin_bswap64((uint64_t)dispersion(say, mono_ns) << 32 | say->refid);
	now->reference = __builtin_bswap64(say->reference);
	now->own_reference = say->reference ? 0 : __builtin_bswap64(0xffffffffull << 32);
	now->utc_to_mono_ns = clock->utc_to_mono_ns;
}

void thread_state_begin_batch(struct thread_state *state, const struct snapshot *snap,
			      const struct batch_clock *clock)
{
	state->mono_ns = clock->mono_ns;
	/* Here, once a batch, so that a packet has one thing to ask. */
	state->ratelimit = ratelimit_is_on(&snap->ntp_ratelimit) ? state->ratelimit_table : NULL;
	ntp_now(&state->now, &snap->ntp, clock);
	state->now.plain = !snap->ntp_access && !state->ratelimit;
	state->now_s = (uint32_t)(clock->utc_ns / CLOCK_SECOND_NS);
	if (!clock->stepped || !state->saved.entries)
		return;
	state->counts.steps++;
	ntp_saved_forget(&state->saved, state->random);
	random_next(state);
}
