/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Predicts the delay from a batch's clock read to the transmit time of each frame, from the
 * measured delays of earlier batches.
 *
 * A kick sends its frames one after another, so the delay is nearly linear in the batch index: base
 * + slope * index. The base depends on how cold the caches are, so there is one per class of idle
 * time before the batch; the slope depends on the CPU's other load, which changes within
 * milliseconds. Both are updated by the signs of a batch's errors and thus converge to the median,
 * which an occasional frame delayed by the scheduler does not move.
 */
#ifndef XDPKIT_TRANSMIT_FIT_H
#define XDPKIT_TRANSMIT_FIT_H

#include <stdint.h>

/*
 * Classes of pauses before a batch, each four times as long as the one before: below 65 us (2^16
 * ns), ..., 67 ms and more. A loop under load is in the first, one request per second in the last.
 */
#define TRANSMIT_PAUSES     7
#define TRANSMIT_PAUSE_BITS 16

/* Initial value of base and slope, of a plausible magnitude on any machine; and their minimum. */
#define TRANSMIT_BEGIN_NS 1000.0
#define TRANSMIT_LEAST_NS 1.0

/*
 * The fraction by which one batch changes base or slope. The base of a pause class is steady: its
 * step is small enough to stay within a few percent of the median. The slope follows the load: each
 * batch brings up to 64 errors, and under load the next batch comes soon.
 */
#define TRANSMIT_BASE_STEP  (1.0 / 32)
#define TRANSMIT_SLOPE_STEP (1.0 / 16)

struct transmit_fit {
	uint64_t now_ns; /* clock read of the latest batch */
	uint8_t pause;   /* class of the pause before it: index of `bases` */
	double base_ns;  /* for that class */
	double slope_ns;
	double bases[TRANSMIT_PAUSES]; /* 0: nothing learned yet, nothing predicted */

	/* Error signs (-1, 0, 1) of the latest batch so far. */
	int32_t first;  /* of the first frame */
	int32_t lean;   /* sum over all frames, weighted by batch index */
	int32_t weight; /* sum of the batch indexes */
};

static inline uint8_t transmit_pause(uint64_t ns)
{
	uint64_t units = ns >> TRANSMIT_PAUSE_BITS;
	int pause = units ? (63 - __builtin_clzll(units)) / 2 + 1 : 0;

	return (uint8_t)(pause < TRANSMIT_PAUSES ? pause : TRANSMIT_PAUSES - 1);
}

/* Adjusts a value by a fraction of itself; `sign` is the mean error sign, 0: no information. */
static inline double transmit_adjust(double value, double sign, double step)
{
	if (sign == 0)
		return value;
	if (value == 0)
		value = TRANSMIT_BEGIN_NS;
	value += value * step * sign;
	return value > TRANSMIT_LEAST_NS ? value : TRANSMIT_LEAST_NS;
}

/* Begins a batch at a clock read; learns from the previous one, most of which has left. */
static inline void transmit_fit_begin(struct transmit_fit *fit, uint64_t now_ns)
{
	double *base = &fit->bases[fit->pause];

	*base = transmit_adjust(*base, fit->first, TRANSMIT_BASE_STEP);
	if (fit->weight)
		fit->slope_ns = transmit_adjust(fit->slope_ns, (double)fit->lean / fit->weight,
						TRANSMIT_SLOPE_STEP);
	fit->first = fit->lean = fit->weight = 0;
	/* A clock that was set back looks like a long pause. */
	fit->pause = transmit_pause(now_ns - fit->now_ns);
	fit->base_ns = fit->bases[fit->pause];
	fit->now_ns = now_ns;
}

/* Predicted nanoseconds from the batch's clock read until this frame leaves. */
static inline uint64_t transmit_fit_delay(const struct transmit_fit *fit, uint8_t batch_index)
{
	return (uint64_t)(fit->base_ns + fit->slope_ns * batch_index);
}

/* Adds how much later than predicted a frame of the latest batch left. */
static inline void transmit_fit_add_error(struct transmit_fit *fit, int64_t error_ns,
					  uint8_t batch_index)
{
	int32_t sign = (error_ns > 0) - (error_ns < 0);

	if (!fit->first)
		fit->first = sign;
	fit->lean += sign * batch_index;
	fit->weight += batch_index;
}

#endif
