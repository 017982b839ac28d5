/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NTP server's reply (RFC 5905, client/server and symmetric passive; RFC 9769 interleaved),
 * written in place over the request.
 *
 *   ntp_read (ntp/request.c) -> ntp_reply -> [transmit time, ntp/stamp.c] -> ntp_finish
 */
#ifndef XDPKIT_NTP_H
#define XDPKIT_NTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/thread_state.h"
#include "service/request.h"

/* RFC 5905 section 7.3, figure 8; all fields in network order. */
struct ntp_header {
	uint8_t leap_version_mode;
	uint8_t stratum;
	int8_t poll;
	int8_t precision;
	uint32_t root_delay;
	uint32_t root_dispersion;
	uint32_t refid;
	uint64_t reference;
	uint64_t origin;
	uint64_t receive;
	uint64_t transmit;
};

#define NTP_HEADER_BYTES 48

_Static_assert(sizeof(struct ntp_header) == NTP_HEADER_BYTES, "RFC 5905 figure 8");
_Static_assert(offsetof(struct ntp_header, reference) == 16, "RFC 5905 figure 8");
_Static_assert(offsetof(struct ntp_header, transmit) == 40, "RFC 5905 figure 8");

/* Seconds from 1900, the start of NTP era 0, to 1970 (RFC 5905 figure 4). */
#define NTP_UNIX_EPOCH 2208988800ull

/* Lowest timestamp bit: 1 in our receive, 0 in our transmit timestamps, so they never match. */
#define NTP_LOW_BIT 1ull

/* Lowest poll value in a reply: chrony's floor for lower requests (2^-19 s). */
#define NTP_POLL_MIN (-19)

/* chrony's experimental field: root delay/dispersion in finer units, monotonic receive time. */
#define NTP_FIELD_MONO_ROOT       0xf323
#define NTP_FIELD_MONO_ROOT_MAGIC 0xf5bedd9a
#define NTP_FIELD_MONO_ROOT_BYTES 28

/* 2^32 / 10^9, the units of an NTP timestamp in a nanosecond, times 2^125: its upper and lower
 * half. */
#define NTP_UNITS_HIGH 0x89705f4136b4a597ull
#define NTP_UNITS_LOW  0x31680a88f8953030ull

/*
 * UTC nanoseconds since 1970 as a 32.32 NTP timestamp, host order, without era (RFC 5905 6),
 * rounded down. Exactly: what the product is too large by, less than 2^-59, is no more than the
 * distance of a fraction of 5^9 to the next whole number.
 */
static inline uint64_t ntp_time(uint64_t ns)
{
	unsigned __int128 product = (unsigned __int128)ns * NTP_UNITS_HIGH;
	uint64_t low = (uint64_t)product, high = (uint64_t)(product >> 64);
	uint64_t rest = (uint64_t)((unsigned __int128)ns * NTP_UNITS_LOW >> 64) + 1;

	high += __builtin_add_overflow(low, rest, &low);
	return (high << 3 | low >> 61) + (NTP_UNIX_EPOCH << 32);
}

/* What ntp_read() found in a request, kept between the loops over a batch. */
struct ntp_query {
	uint64_t client;           /* ratelimit_hash() of the source */
	const struct ntp_key *key; /* NULL: not authenticated */
	uint16_t mac_at;           /* offset of the request's MAC */
	uint8_t version;           /* 1 to 4 */
	uint8_t mode;              /* the reply's: 4 server, 2 symmetric passive */
	bool mono_root;            /* the reply carries that extension field */
	bool interleaved;          /* the origin may be one of our receive timestamps */
	bool pending;              /* needs a table lookup or a digest: worth a separate loop */
};

/*
 * The first bytes of replies without leap indicator, by version and mode of the requests; 0 where
 * there is no reply, or not always one.
 */
extern const uint8_t ntp_reply_byte[64];

/*
 * Whether a request is what nearly all are: a bare header that asks for a basic reply, in a batch
 * without access list and limit. A client in interleaved mode sends one of our receive timestamps
 * back, whose lowest bit is 1.
 */
static inline bool ntp_is_plain(const struct thread_state *state, const struct request *rq)
{
	const uint8_t *p = rq->payload;

	return rq->length == NTP_HEADER_BYTES && ntp_reply_byte[p[0] & 63] &&
	       !(p[offsetof(struct ntp_header, origin) + 7] & NTP_LOW_BIT) &&
	       (int8_t)p[offsetof(struct ntp_header, poll)] >= NTP_POLL_MIN && state->now.plain;
}

/* What ntp_read() and ntp_reply() do, for such a request. */
enum verdict ntp_reply_plain(struct thread_state *state, struct request *rq,
			     struct tx_record *tx_record);

/*
 * Validates the format of a request and prefetches the table entries that ntp_reply() will need.
 * Returns VERDICT_PENDING if ntp_reply() should answer it, else the reason for not replying.
 */
enum verdict ntp_read(const struct snapshot *snap, struct thread_state *state,
		      const struct request *rq, struct ntp_query *query);

/*
 * Fills in every field of the reply except the transmit timestamp of a basic reply and the digest,
 * which ntp_finish() adds as `tx_record` tells it to (the caller sets tx_record->payload). Returns
 * an ANSWER verdict or the reason for not replying.
 */
enum verdict ntp_reply(const struct snapshot *snap, struct thread_state *state, struct request *rq,
		       const struct ntp_query *query, struct tx_record *tx_record);

/*
 * Completes a reply that leaves at `transmit` (32.32, host order): writes the transmit timestamp,
 * always later than the receive timestamp (RFC 9769 section 2), and the digest over the whole
 * reply. Returns the checksum of the bytes written (frame/checksum.h), which were zero before.
 */
uint64_t ntp_finish(struct thread_state *state, const struct tx_record *tx_record,
		    uint64_t transmit);

#endif
