/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved transmit timestamps for the interleaved mode (RFC 9769): a client that sends our receive
 * timestamp back gets the time at which that reply really left.
 *
 * Each thread has its own table, keyed by receive timestamp, which is unique within the thread
 * (ntp_saved_receive()). Nothing about the client is stored. A bucket is one cache line; its oldest
 * entry is evicted.
 */
#ifndef XDPKIT_NTP_INTERLEAVED_H
#define XDPKIT_NTP_INTERLEAVED_H

#include <stddef.h>
#include <stdint.h>

/* 16-byte entries per cache line. */
#define NTP_SAVED_BUCKET 4

/* 32.32 NTP timestamps in host order. */
struct ntp_saved {
	uint64_t receive;  /* XORed with the table's salt */
	uint64_t transmit; /* 0: not valid */
};

struct ntp_saved_table {
	struct ntp_saved *entries; /* NULL: interleaved mode is off; owned by the thread's owner */
	uint32_t shift;            /* 64 minus the bits of a bucket index */
	uint64_t salt;             /* even; changing it invalidates every entry */
	uint64_t last_receive;
};

/* `entries` is a power of two >= 4; `memory` has 16 zeroed bytes per entry, 64-byte aligned. */
void ntp_saved_open(struct ntp_saved_table *table, void *memory, uint32_t entries);

/*
 * The receive timestamp to assign to a request that arrived at `receive`: later than any assigned
 * before, by the smallest step that preserves the lowest bit, unless the clock was set back.
 */
static inline uint64_t ntp_saved_receive(struct ntp_saved_table *table, uint64_t receive)
{
	uint64_t behind = table->last_receive - receive;

	/* Up to 4 ms behind: reordered, or the same clock read. Otherwise the clock was set. */
	if (behind < 1u << 24)
		receive = table->last_receive + 2;
	table->last_receive = receive;
	return receive;
}

/* Prefetches the bucket of a receive timestamp. */
void ntp_saved_prefetch(const struct ntp_saved_table *table, uint64_t receive);

/* Stores the transmit time of the reply that carried `receive`, replacing an earlier one. */
void ntp_saved_put(struct ntp_saved_table *table, uint64_t receive, uint64_t transmit);

/* Removes and returns the transmit time of the reply that carried `receive`; 0 if there is none. */
uint64_t ntp_saved_take(struct ntp_saved_table *table, uint64_t receive);

/* Replaces a transmit time with a more accurate one, if it is still stored. */
void ntp_saved_correct(struct ntp_saved_table *table, uint64_t receive, uint64_t transmit);

/* Invalidates the whole table in O(1): the clock was set. */
void ntp_saved_forget(struct ntp_saved_table *table, uint64_t random);

#endif
