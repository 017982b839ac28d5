/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NTP server's reply (RFC 5905, client/server and symmetric passive; RFC 9769 interleaved),
 * written over the request.
 *
 *   ntp_read (ntp/request.c) -> ntp_reply -> [the batch's transmit time, ntp/transmit.c] ->
 * ntp_finish
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

/* Seconds from the NTP era's start, 1900, to 1970 (RFC 5905 figure 4). */
#define NTP_UNIX_EPOCH 2208988800ull

/* Lowest bit of a timestamp: 1 in ours of receipt, 0 in ours of transmission: never equal. */
#define NTP_LOW_BIT 1ull

/* chrony's experimental field: root delay and dispersion in finer units, monotonic receive time. */
#define NTP_FIELD_MONO_ROOT       0xf323
#define NTP_FIELD_MONO_ROOT_MAGIC 0xf5bedd9a
#define NTP_FIELD_MONO_ROOT_BYTES 28

/* Nanoseconds of UTC since 1970 as a 32.32 NTP timestamp, host order, era dropped (RFC 5905 6). */
static inline uint64_t ntp_time(uint64_t ns)
{
	uint64_t seconds = ns / 1000000000u;
	uint64_t fraction = ((ns % 1000000000u) << 32) / 1000000000u;

	return (seconds + NTP_UNIX_EPOCH) << 32 | fraction;
}

/* What ntp_read() found in a request, kept between the passes over a batch. */
struct ntp_query {
	uint64_t client;           /* ratelimit_hash() of the source */
	const struct ntp_key *key; /* NULL: not authenticated */
	uint16_t mac_at;           /* where the request's MAC begins */
	uint8_t version;           /* 1 to 4 */
	uint8_t mode;              /* the reply's: 4 server, 2 symmetric passive */
	bool mono_root;            /* the reply has that extension field */
	bool follows;              /* the origin timestamp may be a receive timestamp of ours */
	bool pending; /* a table is to be looked at, or a digest to be made: worth a pass of its own
		       */
};

/*
 * Checks the form of a request, and asks for the table entries that ntp_reply() will want. Returns
 * VERDICT_PENDING when ntp_reply() is to answer it, else the reason for silence.
 */
enum verdict ntp_read(const struct snapshot *snap, struct thread_state *state,
		      const struct request *rq, struct ntp_query *query);

/*
 * Fills in every reply field but the transmit timestamp of a basic reply and the digest, which
 * ntp_finish() puts in, and says in `tx_record` what that has to do (not where the payload is, the
 * door's to say). Returns an ANSWER verdict or the reason for silence.
 */
enum verdict ntp_reply(const struct snapshot *snap, struct thread_state *state, struct request *rq,
		       const struct ntp_query *query, struct tx_record *tx_record);

/*
 * Completes a reply that leaves at `transmit` (32.32, host order): the transmit timestamp, never
 * earlier than the receive timestamp and never equal to it (RFC 9769 section 2); the digest over
 * all of it. Returns the sum of the bytes written (frame/checksum.h), which were zero before.
 */
uint64_t ntp_finish(struct thread_state *state, const struct tx_record *tx_record,
		    uint64_t transmit);

#endif
