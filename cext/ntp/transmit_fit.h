/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long after a batch's clock read its frames leave, learnt from when those of earlier batches
 * did.
 *
 * A kick sends its frames one after the other, so that this grows nearly linearly with a frame's
 * place in the batch: base + slope * place. The base depends on how cold the caches are, so there
 * is one for each length of the pause before the batch; the slope on what else the processor does,
 * which changes within milliseconds. Both follow the signs of a batch's errors, and so settle on
 * the median, which the odd frame that waited for a scheduler does not move.
 */
#ifndef XDPKIT_TRANSMIT_FIT_H
#define XDPKIT_TRANSMIT_FIT_H

#include <stdint.h>

/*
 * Pauses before a batch, each class four times as long as the one before: below 65 us (2^16 ns),
 * ..., 67 ms and more. A loop under load is in the first, a request a second in the last.
 */
#define TRANSMIT_PAUSES     7
#define TRANSMIT_PAUSE_BITS 16

/* Where base and slope begin: of any machine's magnitude. Below the other they do not fall. */
#define TRANSMIT_BEGIN_NS 1000.0
#define TRANSMIT_LEAST_NS 1.0

/*
 * The share of itself that a batch moves base or slope by. The base of a pause is steady: small
 * enough to rest within a few percent of the median. The slope changes with the load: a batch says
 * it with up to 64 errors, and the next one is soon.
 */
#define TRANSMIT_BASE_STEP  (1.0 / 32)
#define TRANSMIT_SLOPE_STEP (1.0 / 16)

struct transmit_fit {
	uint64_t now_ns; /* clock read of the latest batch */
	uint8_t pause;   /* before it: index of `bases` */
	double base_ns;  /* for it */
	double slope_ns;
	double bases[TRANSMIT_PAUSES]; /* 0: nothing learnt yet, nothing predicted */

	/* What the errors of the latest batch were so far, by their signs: -1, 0 or 1. */
	int32_t first;  /* the earliest frame's */
	int32_t lean;   /* the sum over all frames, each as often as its place */
	int32_t weight; /* the sum of the places */
};

static inline uint8_t transmit_pause(uint64_t ns)
{
	uint64_t units = ns >> TRANSMIT_PAUSE_BITS;
	int pause = units ? (63 - __builtin_clzll(units)) / 2 + 1 : 0;

	return (uint8_t)(pause < TRANSMIT_PAUSES ? pause : TRANSMIT_PAUSES - 1);
}

/* A value moved by a share of itself, for errors of this mean sign: -1 to 1, 0 for no news. */
static inline double transmit_moved(double value, double sign, double step)
{
	if (sign == 0)
		return value;
	if (value == 0)
		value = TRANSMIT_BEGIN_NS;
	value += value * step * sign;
	return value > TRANSMIT_LEAST_NS ? value : TRANSMIT_LEAST_NS;
}

/* Begins a batch at a clock read, and learns from the one before, whose frames have mostly left. */
static inline void transmit_fit_begin(struct transmit_fit *fit, uint64_t now_ns)
{
	double *base = &fit->bases[fit->pause];

	*base = transmit_moved(*base, fit->first, TRANSMIT_BASE_STEP);
	if (fit->weight)
		fit->slope_ns = transmit_moved(fit->slope_ns, (double)fit->lean / fit->weight,
					       TRANSMIT_SLOPE_STEP);
	fit->first = fit->lean = fit->weight = 0;
	/* A clock that was set back makes a long pause. */
	fit->pause = transmit_pause(now_ns - fit->now_ns);
	fit->base_ns = fit->bases[fit->pause];
	fit->now_ns = now_ns;
}

/* Nanoseconds from the batch's clock read to the departure of the frame in this place. */
static inline uint64_t transmit_fit_delay(const struct transmit_fit *fit, uint8_t batch_index)
{
	return (uint64_t)(fit->base_ns + fit->slope_ns * batch_index);
}

/* Notes by how much later than predicted a frame of the latest batch left. */
static inline void transmit_fit_note(struct transmit_fit *fit, int64_t error_ns,
				     uint8_t batch_index)
{
	int32_t sign = (error_ns > 0) - (error_ns < 0);

	if (!fit->first)
		fit->first = sign;
	fit->lean += sign * batch_index;
	fit->weight += batch_index;
}

#endif
