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

/* chrony's experimental field: root delay/dispersion in finer units, monotonic receive time. */
#define NTP_FIELD_MONO_ROOT       0xf323
#define NTP_FIELD_MONO_ROOT_MAGIC 0xf5bedd9a
#define NTP_FIELD_MONO_ROOT_BYTES 28

/* UTC nanoseconds since 1970 as a 32.32 NTP timestamp, host order, without era (RFC 5905 6). */
static inline uint64_t ntp_time(uint64_t ns)
{
	uint64_t seconds = ns / 1000000000u;
	uint64_t fraction = ((ns % 1000000000u) << 32) / 1000000000u;

	return (seconds + NTP_UNIX_EPOCH) << 32 | fraction;
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
