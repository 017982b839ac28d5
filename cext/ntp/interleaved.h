/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transmit times of replies, kept for the interleaved mode (RFC 9769): a client that sends our
 * receive timestamp back gets the time at which that reply really left.
 *
 * One thread's own table, keyed by receive timestamp, which is unique within the thread
 * (ntp_saved_receive()). Nothing of the client is kept. A bucket is a cache line; the oldest of its
 * entries makes room.
 */
#ifndef XDPKIT_NTP_SAVED_H
#define XDPKIT_NTP_SAVED_H

#include <stddef.h>
#include <stdint.h>

/* Entries of 16 bytes that share a cache line. */
#define NTP_SAVED_BUCKET 4

/* 32.32 NTP timestamps in host order. */
struct ntp_saved {
	uint64_t receive;  /* XOR the table's salt */
	uint64_t transmit; /* 0: not to be used */
};

struct ntp_saved_table {
	struct ntp_saved *entries; /* NULL: no interleaved mode; owned by the thread's owner */
	uint32_t shift;            /* 64 less the bits of a bucket's number */
	uint64_t salt;             /* even; another one makes every entry unknown */
	uint64_t last_receive;
};

/* `entries` is a power of two from 4 up; `memory` has 16 bytes for each, zero, 64-byte aligned. */
void ntp_saved_open(struct ntp_saved_table *table, void *memory, uint32_t entries);

/*
 * The receive timestamp to give to a request that arrived at `receive`: later than any given
 * before, by the smallest step that keeps the lowest bit, unless the clock was set back.
 */
static inline uint64_t ntp_saved_receive(struct ntp_saved_table *table, uint64_t receive)
{
	uint64_t behind = table->last_receive - receive;

	/* Within 4 ms behind: out of order, or of one clock read. Anything else is another time. */
	if (behind < 1u << 24)
		receive = table->last_receive + 2;
	table->last_receive = receive;
	return receive;
}

/* Asks for the bucket of a receive timestamp ahead of its use. */
void ntp_saved_prefetch(const struct ntp_saved_table *table, uint64_t receive);

/* Remembers when the reply that carried `receive` left; the same `receive` again replaces it. */
void ntp_saved_put(struct ntp_saved_table *table, uint64_t receive, uint64_t transmit);

/* The transmit time of the reply that carried `receive`, once: 0 the second time, and if unknown.
 */
uint64_t ntp_saved_take(struct ntp_saved_table *table, uint64_t receive);

/* Replaces a transmit time by a better one, if it is still there. */
void ntp_saved_correct(struct ntp_saved_table *table, uint64_t receive, uint64_t transmit);

/* Forgets everything, at once: the clock was set. */
void ntp_saved_forget(struct ntp_saved_table *table, uint64_t random);

#endif
