/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long answers were inside: a log-linear histogram (HDR, Gil Tene) of the nanoseconds from the
 * receive stamp of a request to the clock read just before its reply is given to the kernel. One
 * per answering thread, which alone writes it; the control plane reads it at any time.
 */
#ifndef XDPKIT_LATENCY_H
#define XDPKIT_LATENCY_H

#include <stdint.h>

/*
 * 32 buckets per power of two: a bucket is at most 1/32 of its value wide, so that its middle is
 * within 1.6 % of every value in it. Exact below 32 ns; a second and more go into the last bucket.
 */
#define LATENCY_STEP_BITS 5
#define LATENCY_TOP_BITS  30
#define LATENCY_BUCKETS   ((LATENCY_TOP_BITS - LATENCY_STEP_BITS + 1) << LATENCY_STEP_BITS)

/* An older stamp, or one from the future, is not believed: the loop's clock takes its place. */
#define LATENCY_MAX_NS 1000000000ull

struct latency {
	uint64_t sum_ns;
	uint64_t from_loop; /* of those: from the loop's clock, for want of a stamp */
	uint64_t bucket[LATENCY_BUCKETS];
};

static inline uint32_t latency_bucket(uint64_t ns)
{
	uint32_t top;

	if (ns >= 1ull << LATENCY_TOP_BITS)
		return LATENCY_BUCKETS - 1;
	top = 63 - (uint32_t)__builtin_clzll(ns | 1 << LATENCY_STEP_BITS) - LATENCY_STEP_BITS;
	return (top << LATENCY_STEP_BITS) + (uint32_t)(ns >> top);
}

/* Counts an answer received at `stamp`, sent at `now`; `loop` is when its batch was received. */
static inline void latency_add(struct latency *latency, uint64_t now, uint64_t stamp, uint64_t loop)
{
	uint64_t ns = now - stamp;

	/* Unsigned: a stamp from the future also looks far too old. */
	if (__builtin_expect(ns > LATENCY_MAX_NS, 0)) {
		ns = now > loop ? now - loop : 0;
		latency->from_loop++;
	}
	latency->sum_ns += ns;
	latency->bucket[latency_bucket(ns)]++;
}

#endif
