/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NTP counters of one thread besides its verdicts (runtime/stats.h). Only that thread writes
 * them, with plain stores; the control plane reads them at any time; they are never reset.
 */
#ifndef XDPKIT_NTP_COUNTS_H
#define XDPKIT_NTP_COUNTS_H

#include <stdint.h>
#include <string.h>

/* Keys with a counter of their own; all further keys share the last one. */
#define NTP_KEY_SLOTS 256

/*
 * A sketch of the set of clients (HyperLogLog, Flajolet et al. 2007): 4096 registers, each holding
 * the longest run of zero bits seen. The standard error is 1.6 % at any cardinality. Sketches of
 * threads that share a seed are merged by taking the maximum of each register.
 */
#define NTP_CLIENTS_BITS 12
#define NTP_CLIENTS      (1 << NTP_CLIENTS_BITS)

/*
 * Histogram of signed nanoseconds: exact below 16, then 16 buckets per power of two (6 % wide), up
 * to 2^24 ns (17 ms); larger values go in the last bucket. Negative values mirror the positive
 * ones.
 */
#define NTP_ERROR_STEPS_BITS 4
#define NTP_ERROR_TOP_BITS   24
#define NTP_ERROR_SIDE    ((NTP_ERROR_TOP_BITS - NTP_ERROR_STEPS_BITS + 1) << NTP_ERROR_STEPS_BITS)
#define NTP_ERROR_BUCKETS (2 * NTP_ERROR_SIDE)

struct ntp_counts {
	uint64_t request[64];        /* of at least 48 bytes, by the fields version and mode */
	uint64_t refused[8];         /* not among those: version or mode has no reply; by version */
	uint64_t key[NTP_KEY_SLOTS]; /* authenticated replies, by the key's slot */
	uint64_t leaked;             /* over the rate limit but answered anyway */
	uint64_t steps;              /* times UTC was stepped: saved timestamps dropped */
	uint64_t tx_true;            /* transmit timestamps returned by the kernel or the NIC */
	uint64_t tx_missing;         /* requested but not returned */
	uint64_t tx_disbelieved;     /* returned, but more than a second from the kick */
	uint64_t tx_error[NTP_ERROR_BUCKETS]; /* true transmit time minus the one in the reply */
	uint8_t clients[NTP_CLIENTS];
};

static inline uint32_t ntp_error_bucket(int64_t ns)
{
	uint64_t size = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
	uint32_t index = (uint32_t)size, top;

	if (size >= 1u << NTP_ERROR_TOP_BITS) {
		index = NTP_ERROR_SIDE - 1;
	} else if (size >= 1u << NTP_ERROR_STEPS_BITS) {
		top = 63 - (uint32_t)__builtin_clzll(size) - NTP_ERROR_STEPS_BITS;
		index = (top << NTP_ERROR_STEPS_BITS) + (uint32_t)(size >> top);
	}
	return ns < 0 ? NTP_ERROR_SIDE - 1 - index : NTP_ERROR_SIDE + index;
}

/* Adds a client by its address, 4 or 16 bytes; the seed is the same in all threads. */
static inline void ntp_clients_add(uint8_t *clients, const uint8_t *source, uint8_t ip_version,
				   uint64_t seed)
{
	uint64_t high = 0, low = 0, hash;
	uint32_t index;
	uint8_t rank;

	if (ip_version == 4) {
		memcpy(&low, source, 4);
	} else {
		memcpy(&high, source, 8);
		memcpy(&low, source + 8, 8);
	}
	/*
	 * Three rounds of multiply and fold (the constants of MurmurHash3's 64-bit finalizer):
	 * after two, estimates of IPv6 addresses in sequence were off by up to 80 %.
	 */
	hash = (low ^ seed) * 0xff51afd7ed558ccdull;
	hash = (hash ^ hash >> 32 ^ high) * 0xc4ceb9fe1a85ec53ull;
	hash ^= hash >> 29;
	hash *= 0xff51afd7ed558ccdull;
	hash ^= hash >> 32;
	index = (uint32_t)(hash >> (64 - NTP_CLIENTS_BITS));
	rank = (uint8_t)(__builtin_clzll(hash << NTP_CLIENTS_BITS | 1) + 1);
	if (clients[index] < rank)
		clients[index] = rank;
}

#endif
