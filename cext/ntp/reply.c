// SPDX-License-Identifier: Apache-2.0
#include "ntp/ntp.h"

#include <string.h>

#include "base/bytes.h"
#include "frame/checksum.h"
#include "runtime/snapshot.h"
#include "runtime/stats.h"

/* Lowest poll value in a reply: chrony's floor for lower requests (2^-19 s). */
#define NTP_POLL_MIN (-19)

/* "RATE", the kiss code sent to clients that poll too often: RFC 5905 figure 13. */
#define NTP_KOD_RATE 0x52415445u

/* Fills the 0xF323 field after the header; root delay and dispersion in units of 2^-28 s. */
static void fill_mono_root(const struct snapshot *snap, const struct ntp_now *now, uint64_t rx_ns,
			   uint8_t *field)
{
	uint32_t delay = (uint32_t)now->first, dispersion = (uint32_t)(now->second >> 32);

	/* NTP short format has 16 fraction bits; this field has 28, and only 4 for seconds. */
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
 * The timestamps, whose sum it returns. The origin of an interleaved reply is the client's receive
 * timestamp, and its transmit timestamp is when the previous reply really left. The origin of a
 * basic reply is the client's transmit timestamp, and ntp_finish() fills in its own transmit time.
 */
static uint64_t fill_timestamps(struct thread_state *state, uint64_t receive, uint64_t transmit,
				uint8_t *p)
{
	uint64_t reference = state->now.reference, origin, sum;

	/* A clock that is its own reference was last updated at the latest whole second. */
	reference = reference ? reference : receive & ~0xffffffffull;
	origin = load_u64(p + (transmit ? offsetof(struct ntp_header, receive)
					: offsetof(struct ntp_header, transmit)));
	reference = __builtin_bswap64(reference);
	receive = __builtin_bswap64(receive);
	transmit = __builtin_bswap64(transmit);
	store_u64(p + offsetof(struct ntp_header, reference), reference);
	store_u64(p + offsetof(struct ntp_header, origin), origin);
	store_u64(p + offsetof(struct ntp_header, receive), receive);
	store_u64(p + offsetof(struct ntp_header, transmit), transmit);
	sum = checksum_word(checksum_word(reference, origin), receive);
	return checksum_word(sum, transmit);
}

/* The first 16 bytes, whose sum it returns. A kiss-o'-death (RFC 5905 section 7.4) claims to be
 * unsynchronized. */
static uint64_t fill_state(const struct thread_state *state, const struct ntp_query *query,
			   int8_t poll, bool kod, uint8_t *p)
{
	uint64_t first = state->now.first, second = state->now.second;

	if (kod) {
		first = (first & 0x0000ffffffffffff) | 3ull << 62;
		second = (second & ~0xffffffffull) | NTP_KOD_RATE;
	}
	first |= (uint64_t)(query->version << 3 | query->mode) << 56 | (uint64_t)(uint8_t)poll
									       << 40;
	first = __builtin_bswap64(first);
	second = __builtin_bswap64(second);
	store_u64(p, first);
	store_u64(p + 8, second);
	return checksum_word(first, second);
}

/* The key ID, then zeros where ntp_finish() puts the digest. */
static void fill_mac(struct thread_state *state, const struct ntp_query *query, struct request *rq,
		     struct tx_record *tx_record)
{
	const struct ntp_key *key = query->key;
	uint32_t counter = key->counter < NTP_KEY_SLOTS ? key->counter : NTP_KEY_SLOTS - 1;
	uint8_t *mac = rq->payload + rq->length;
	uint32_t bytes = ntp_digest_bytes(key->algorithm, query->version);

	tx_record->mac_at = (uint16_t)rq->length;
	tx_record->version = query->version;
	store_be32(mac, key->id);
	memset(mac + 4, 0, bytes);
	rq->length += 4 + bytes;
	state->counts.key[counter]++;
	state->transmit.keyed++;
}

static bool digest_is_right(struct thread_state *state, const struct request *rq,
			    const struct ntp_query *query)
{
	const uint8_t *mac = rq->payload + query->mac_at;

	return ntp_digest_check(&state->digest, query->key, query->version, rq->payload,
				query->mac_at, mac + 4, rq->length - query->mac_at - 4);
}

/* Rate limit first, like chrony: a flood with a key ID does not cost us digests. */
static enum verdict admit(const struct snapshot *snap, struct thread_state *state,
			  const struct request *rq, const struct ntp_query *query)
{
	enum ratelimit_outcome outcome = RATELIMIT_PASS;

	if (state->ratelimit)
		outcome = ratelimit_check(state->ratelimit, &snap->ntp_ratelimit, query->client,
					  state->mono_ns, random_next(state));
	if (outcome == RATELIMIT_DROP)
		return VERDICT_ntp_limited;
	if (query->key && !digest_is_right(state, rq, query))
		return VERDICT_ntp_digest;
	state->counts.leaked += outcome == RATELIMIT_LEAK;
	return outcome == RATELIMIT_KOD ? VERDICT_ntp_kod : VERDICT_ntp_answered;
}

enum verdict ntp_reply(const struct snapshot *snap, struct thread_state *state, struct request *rq,
		       const struct ntp_query *query, struct tx_record *tx_record)
{
	uint64_t receive = ntp_time(rq->rx_ns) | NTP_LOW_BIT, transmit = 0;
	enum verdict verdict = VERDICT_ntp_answered;
	int8_t poll, poll_min = NTP_POLL_MIN;
	uint8_t *p = rq->payload;
	bool interleaved;

	if (query->pending) {
		verdict = admit(snap, state, rq, query);
		if (!verdict_answers(verdict))
			return verdict;
	}
	if (state->saved.entries)
		receive = ntp_saved_receive(&state->saved, receive);
	interleaved = query->interleaved && verdict == VERDICT_ntp_answered;
	if (interleaved)
		transmit = ntp_saved_take(&state->saved,
					  load_be64(p + offsetof(struct ntp_header, origin)));
	if (state->ratelimit)
		poll_min = snap->ntp_ratelimit.interval;
	poll = (int8_t)p[2];
	rq->sum = fill_state(state, query, poll > poll_min ? poll : poll_min,
			     verdict == VERDICT_ntp_kod, p);
	rq->sum = checksum_word(rq->sum, fill_timestamps(state, receive, transmit, p));
	rq->reply_sum = REPLY_SUM_BEGUN;
	rq->length = NTP_HEADER_BYTES;
	if (query->mono_root) {
		fill_mono_root(snap, &state->now, rq->rx_ns, p + NTP_HEADER_BYTES);
		rq->length += NTP_FIELD_MONO_ROOT_BYTES;
	}
	tx_record->key = query->key;
	if (query->key)
		fill_mac(state, query, rq, tx_record);
	if (rq->length > NTP_HEADER_BYTES)
		rq->sum =
			checksum_add(rq->sum, p + NTP_HEADER_BYTES, rq->length - NTP_HEADER_BYTES);
	tx_record->stamp = transmit == 0;
	tx_record->save = interleaved;
	return transmit ? VERDICT_ntp_interleaved : verdict;
}

uint64_t ntp_finish(struct thread_state *state, const struct tx_record *tx_record,
		    uint64_t transmit)
{
	uint8_t *payload = tx_record->payload, *digest;
	uint64_t receive = load_be64(payload + offsetof(struct ntp_header, receive));
	uint64_t value = 0, sum;

	transmit &= ~NTP_LOW_BIT;
	/* Signed difference: the era wraps in 2036. Also catches a clock set back in between. */
	if ((int64_t)(transmit - receive) < 0)
		transmit = receive + NTP_LOW_BIT;
	if (tx_record->stamp) {
		value = __builtin_bswap64(transmit);
		memcpy(payload + offsetof(struct ntp_header, transmit), &value, sizeof value);
	}
	if (tx_record->save)
		ntp_saved_put(&state->saved, receive, transmit);
	sum = checksum_word(0, value);
	if (tx_record->key) {
		/* If libcrypto fails, the digest stays zero and the client drops the reply. */
		digest = payload + tx_record->mac_at + 4;
		sum = checksum_add(sum, digest,
				   ntp_digest_make(&state->digest, tx_record->key,
						   tx_record->version, payload, tx_record->mac_at,
						   digest));
	}
	return sum;
}
