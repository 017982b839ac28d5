// SPDX-License-Identifier: Apache-2.0
#include "ntp.h"

#include <string.h>

#include "bytes.h"
#include "checksum.h"
#include "snapshot.h"

/* Lowest poll a reply carries: chrony's floor for requests below it (2^-19 s). */
#define NTP_POLL_MIN (-19)

/* Fills the 0xF323 field behind the header; root delay and dispersion in units of 2^-28 s. */
static void fill_mono_root(const struct snapshot *snap, const struct ntp_now *now, uint64_t rx_ns,
			   uint8_t *field)
{
	uint32_t delay = (uint32_t)now->first, dispersion = (uint32_t)(now->second >> 32);

	/* Short format has 16 fraction bits, this field 28: 12 more, only 4 bits for seconds. */
	delay = delay >> 20 ? UINT32_MAX : delay << 12;
	dispersion = dispersion >> 20 ? UINT32_MAX : dispersion << 12;
	store_be16(field, NTP_FIELD_MONO_ROOT);
	store_be16(field + 2, NTP_FIELD_MONO_ROOT_BYTES);
	store_be32(field + 4, NTP_FIELD_MONO_ROOT_MAGIC);
	store_be32(field + 8, delay);
	store_be32(field + 12, dispersion);
	store_be64(field + 16, ntp_time(rx_ns + (uint64_t)now->utc_to_mono_ns));
	store_be32(field + 24, snap->ntp.mono_epoch);
}

/*
 * The timestamps. An interleaved reply answers to the client's receive timestamp with the time at
 * which the reply before it really left; a basic one to its transmit timestamp, and gets its own
 * transmit time in ntp_finish().
 */
static void fill_timestamps(struct memory *memory, uint64_t receive, uint64_t transmit, uint8_t *p)
{
	uint64_t reference = memory->now.reference;
	uint64_t origin;

	/* A clock that is its own reference was last set at the latest whole second. */
	reference = reference ? reference : receive & ~0xffffffffull;
	memcpy(&origin,
	       p + (transmit ? offsetof(struct ntp_header, receive)
			     : offsetof(struct ntp_header, transmit)),
	       sizeof origin);
	store_be64(p + offsetof(struct ntp_header, reference), reference);
	memcpy(p + offsetof(struct ntp_header, origin), &origin, sizeof origin);
	store_be64(p + offsetof(struct ntp_header, receive), receive);
	store_be64(p + offsetof(struct ntp_header, transmit), transmit);
}

enum verdict ntp_reply(const struct snapshot *snap, struct memory *memory, struct request *rq,
		       const struct ntp_query *query, struct departure *departure)
{
	uint64_t receive = ntp_time(rq->rx_ns) | NTP_LOW_BIT, transmit = 0;
	const struct ntp_now *now = &memory->now;
	uint8_t *p = rq->payload;
	int8_t poll = (int8_t)p[2];

	if (memory->saved.entries)
		receive = ntp_saved_receive(&memory->saved, receive);
	if (query->follows)
		transmit = ntp_saved_take(&memory->saved,
					  load_be64(p + offsetof(struct ntp_header, origin)));
	poll = poll > NTP_POLL_MIN ? poll : NTP_POLL_MIN;
	/* Whole words: the checksum's wide loads would stall on a row of narrow stores. */
	store_be64(p, now->first | (uint64_t)(query->version << 3 | query->mode) << 56 |
			      (uint64_t)(uint8_t)poll << 40);
	store_be64(p + 8, now->second);
	fill_timestamps(memory, receive, transmit, p);
	rq->length = NTP_HEADER_BYTES;
	if (query->mono_root) {
		fill_mono_root(snap, now, rq->rx_ns, p + NTP_HEADER_BYTES);
		rq->length += NTP_FIELD_MONO_ROOT_BYTES;
	}
	departure->stamp = transmit == 0;
	departure->save = query->follows;
	return transmit ? VERDICT_ntp_interleaved : VERDICT_ntp_answered;
}

void ntp_prefetch(const struct memory *memory, const struct request *rq,
		  const struct ntp_query *query)
{
	if (query->follows)
		ntp_saved_prefetch(&memory->saved,
				   load_be64(rq->payload + offsetof(struct ntp_header, origin)));
}

uint64_t ntp_finish(struct memory *memory, const struct departure *departure, uint64_t transmit)
{
	uint8_t *payload = departure->payload;
	uint64_t receive = load_be64(payload + offsetof(struct ntp_header, receive));
	uint64_t value = 0;

	transmit &= ~NTP_LOW_BIT;
	/* Signed difference: eras wrap in 2036. A clock stepped back between the reads ends here.
	 */
	if ((int64_t)(transmit - receive) < 0)
		transmit = receive + NTP_LOW_BIT;
	if (departure->stamp) {
		value = __builtin_bswap64(transmit);
		memcpy(payload + offsetof(struct ntp_header, transmit), &value, sizeof value);
	}
	if (departure->save)
		ntp_saved_put(&memory->saved, receive, transmit);
	return checksum_word(0, value);
}
