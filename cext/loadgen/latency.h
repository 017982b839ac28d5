/* SPDX-License-Identifier: Apache-2.0 */
/* A histogram of durations: fixed size, percentiles within 1.6 %. */
#ifndef XDPKIT_LOADGEN_LATENCY_H
#define XDPKIT_LOADGEN_LATENCY_H

#include <stdint.h>

/* 64 buckets per power of two of nanoseconds. */
#define LOADGEN_BUCKET_BITS 6
#define LOADGEN_BUCKETS     (64 << LOADGEN_BUCKET_BITS)

struct loadgen_times {
	uint64_t count, longest_ns;
	uint64_t bucket[LOADGEN_BUCKETS];
};

static inline void loadgen_times_add(struct loadgen_times *times, uint64_t ns)
{
	uint32_t power = 63 - (uint32_t)__builtin_clzll(ns | 1 << LOADGEN_BUCKET_BITS);
	uint32_t mask = (1 << LOADGEN_BUCKET_BITS) - 1;

	/* The bits below the highest set bit select the bucket. */
	times->bucket[(power << LOADGEN_BUCKET_BITS) +
		      (ns >> (power - LOADGEN_BUCKET_BITS) & mask)]++;
	times->count++;
	if (ns > times->longest_ns)
		times->longest_ns = ns;
}

/* The value that `percent` of them do not exceed: a bucket's upper bound, at most the longest. */
static inline uint64_t loadgen_times_percentile(const struct loadgen_times *times, double percent)
{
	double wanted = (double)times->count * percent / 100;
	uint64_t seen = 0, end;

	for (uint32_t i = LOADGEN_BUCKET_BITS << LOADGEN_BUCKET_BITS; i < LOADGEN_BUCKETS; i++) {
		seen += times->bucket[i];
		if (!seen || (double)seen < wanted)
			continue;
		end = (i & ((1 << LOADGEN_BUCKET_BITS) - 1)) + (1 << LOADGEN_BUCKET_BITS) + 1;
		end <<= (i >> LOADGEN_BUCKET_BITS) - LOADGEN_BUCKET_BITS;
		return end < times->longest_ns ? end : times->longest_ns;
	}
	return 0;
}

#endif
