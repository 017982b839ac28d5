/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NTP server's reply (RFC 5905, client/server and symmetric passive), written over the request.
 */
#ifndef XDPKIT_NTP_H
#define XDPKIT_NTP_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "answer.h"

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

/* Nanoseconds of UTC since 1970 as a 32.32 NTP timestamp, host order, era dropped (RFC 5905 6). */
static inline uint64_t ntp_time(uint64_t ns)
{
	uint64_t seconds = ns / 1000000000u;
	uint64_t fraction = ((ns % 1000000000u) << 32) / 1000000000u;

	return (seconds + NTP_UNIX_EPOCH) << 32 | fraction;
}

/*
 * Checks the request and fills in every reply field but the transmit timestamp, which is left zero
 * for ntp_stamp(). Returns ntp_answered or the reason for silence.
 */
enum verdict ntp_answer(const struct snapshot *snap, struct request *rq);

/*
 * Puts the transmit timestamp (32.32, host order) into a reply; never earlier than its receive
 * timestamp, never equal to it (RFC 9769 section 2). Returns the 8 bytes as they stand in the
 * packet, loaded in host order, for the checksum.
 */
uint64_t ntp_stamp(uint8_t *payload, uint64_t transmit);

#endif
