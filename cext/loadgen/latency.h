/* SPDX-License-Identifier: Apache-2.0 */
/* A histogram of durations, of fixed size and with percentiles that are off by 1.6 % at most. */
#ifndef XDPKIT_BLAST_TIMES_H
#define XDPKIT_BLAST_TIMES_H

#include <stdint.h>

/* 64 buckets to each power of two of nanoseconds. */
#define BLAST_BUCKET_BITS 6
#define BLAST_BUCKETS     (64 << BLAST_BUCKET_BITS)

struct blast_times {
	uint64_t count, longest_ns;
	uint64_t bucket[BLAST_BUCKETS];
};

static inline void blast_times_add(struct blast_times *times, uint64_t ns)
{
	uint32_t power = 63 - (uint32_t)__builtin_clzll(ns | 1 << BLAST_BUCKET_BITS);
	uint32_t mask = (1 << BLAST_BUCKET_BITS) - 1;

	/* The bits below the highest one choose the bucket. */
	times->bucket[(power << BLAST_BUCKET_BITS) + (ns >> (power - BLAST_BUCKET_BITS) & mask)]++;
	times->count++;
	if (ns > times->longest_ns)
		times->longest_ns = ns;
}

/* What `percent` of them did not exceed: a bucket's upper end, or the longest where that is less.
 */
static inline uint64_t blast_times_percentile(const struct blast_times *times, double percent)
{
	double wanted = (double)times->count * percent / 100;
	uint64_t seen = 0, end;

	for (uint32_t i = BLAST_BUCKET_BITS << BLAST_BUCKET_BITS; i < BLAST_BUCKETS; i++) {
		seen += times->bucket[i];
		if (!seen || (double)seen < wanted)
			continue;
		end = (i & ((1 << BLAST_BUCKET_BITS) - 1)) + (1 << BLAST_BUCKET_BITS) + 1;
		end <<= (i >> BLAST_BUCKET_BITS) - BLAST_BUCKET_BITS;
		return end < times->longest_ns ? end : times->longest_ns;
	}
	return 0;
}

#endif
