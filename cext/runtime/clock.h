/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clocks of one batch, read back to back, and what changed since the previous batch: everything
 * that receive and transmit times are computed from.
 */
#ifndef XDPKIT_CLOCK_H
#define XDPKIT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_SECOND_NS 1000000000ll

/*
 * UTC against the monotonic clock: adjtime and the kernel's discipline slew both alike, so a change
 * of their difference is a step. More than two reads are apart, less than a client would notice.
 */
#define CLOCK_STEP_NS 1000000ll

/* Preemption between two reads looks like a step: read up to this many times. */
#define CLOCK_READS 3

/*
 * As long as UTC has advanced by less than this since all clocks were read, the other two have
 * advanced by as much: what they can have moved against each other is less than a step.
 */
#define CLOCK_STALE_NS CLOCK_STEP_NS

struct batch_clock {
	uint64_t utc_ns;        /* CLOCK_REALTIME */
	uint64_t tai_ns;        /* CLOCK_TAI */
	uint64_t mono_ns;       /* CLOCK_MONOTONIC */
	int64_t utc_to_mono_ns; /* mono_ns - utc_ns */
	int64_t tai_offset_s;   /* whole seconds that TAI is ahead of UTC */
	bool trust_stamps;      /* the TAI offset is that of the previous batch */
	bool stepped;           /* UTC was set since the previous batch */
	uint64_t read_ns;       /* UTC when all three were read; 0: never, or the thread slept */
};

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/*
 * Reads all three clocks. When chronyd sets the kernel's TAI offset (0 to 37 s at its first sync),
 * stamps from before and after cannot be compared: that batch takes the loop's own clock as receive
 * time.
 */
static inline void clock_read(struct batch_clock *clock)
{
	int64_t offset_before = clock->tai_offset_s, moved;
	uint64_t mono_before = clock->mono_ns;
	bool first = !clock->mono_ns;

	for (int reads = 0; reads < CLOCK_READS; reads++) {
		clock->tai_ns = clock_ns(CLOCK_TAI);
		clock->utc_ns = clock_ns(CLOCK_REALTIME);
		clock->mono_ns = clock_ns(CLOCK_MONOTONIC);
		moved = (int64_t)(clock->mono_ns - clock->utc_ns) - clock->utc_to_mono_ns;
		clock->stepped = !first && (moved > CLOCK_STEP_NS || moved < -CLOCK_STEP_NS);
		if (!clock->stepped)
			break;
	}
	clock->utc_to_mono_ns = (int64_t)(clock->mono_ns - clock->utc_ns);
	/* What clock_advance() made of it may have been ahead. */
	if (clock->mono_ns < mono_before)
		clock->mono_ns = mono_before;
	/* Rounded: the reads are some 20 ns apart, the offset is whole seconds. */
	clock->tai_offset_s =
		((int64_t)(clock->tai_ns - clock->utc_ns) + CLOCK_SECOND_NS / 2) / CLOCK_SECOND_NS;
	clock->trust_stamps = clock->tai_offset_s == offset_before;
	clock->read_ns = clock->utc_ns;
}

/*
 * The same for a thread whose batches follow each other closely: one read instead of three, until
 * UTC has moved back or on by CLOCK_STALE_NS since the last three. So a step is found at once (one
 * back by just as long as the thread was kept from running, within CLOCK_STALE_NS), and a new TAI
 * offset makes stamps look a second old or more until then, which nobody believes.
 */
static inline void clock_advance(struct batch_clock *clock)
{
	uint64_t utc_ns, after;

	if (!clock->read_ns) {
		clock_read(clock);
		return;
	}
	utc_ns = clock_ns(CLOCK_REALTIME);
	if (__builtin_expect(utc_ns - clock->read_ns >= CLOCK_STALE_NS, 0)) {
		clock_read(clock);
		return;
	}
	after = utc_ns - clock->utc_ns;
	clock->utc_ns = utc_ns;
	clock->tai_ns += after;
	clock->mono_ns += after;
	clock->trust_stamps = true;
	clock->stepped = false;
}

/* The thread is about to sleep: the next batch reads all clocks. */
static inline void clock_expire(struct batch_clock *clock)
{
	clock->read_ns = 0;
}

#endif
