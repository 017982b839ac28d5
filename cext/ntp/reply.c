// SPDX-License-Identifier: Apache-2.0
#include "ntp/ntp.h"

#include <string.h>

#include "base/bytes.h"
#include "frame/checksum.h"
#include "runtime/snapshot.h"
#include "runtime/stats.h"

/* "RATE", the kiss code sent to clients that poll too often: RFC 5905 figure 13. */
#define NTP_KOD_RATE 0x52415445u

/* Fills the 0xF323 field after the header; root delay and dispersion in units of 2^-28 s. */
static void fill_mono_root(const struct snapshot *snap, const struct ntp_now *now, uint64_t rx_ns,
			   uint8_t *field)
{
	uint32_t delay = (uint32_t)__builtin_bswap64(now->first);
	uint32_t dispersion = (uint32_t)(__builtin_bswap64(now->second) >> 32);

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
 * The header but for the transmit timestamp, from what is in network order already; returns its
 * sum. Whole words, summed before they are in memory: a wide load of what narrow stores just wrote
 * stalls.
 */
static inline uint64_t fill_header(const struct thread_state *state, uint64_t first,
				   uint64_t second, uint64_t origin, uint64_t receive, uint8_t *p)
{
	uint64_t reference;

	receive = __builtin_bswap64(receive);
	/* A clock that is its own reference was last updated at the latest whole second. */
	reference = state->now.reference | (receive & state->now.own_reference);
	store_u64(p, first);
	store_u64(p + 8, second);
	store_u64(p + offsetof(struct ntp_header, reference), reference);
	store_u64(p + offsetof(struct ntp_header, origin), origin);
	store_u64(p + offsetof(struct ntp_header, receive), receive);
	return checksum_two(checksum_two(first, second, reference), origin, receive);
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

/* The receive timestamp, which no other reply of this thread carries if it may have to be found. */
static inline uint64_t receive_time(struct thread_state *state, uint64_t rx_ns)
{
	uint64_t receive = ntp_time(rx_ns) | NTP_LOW_BIT;

	return state->saved.entries ? ntp_saved_receive(&state->saved, receive) : receive;
}

/* In network order: version, mode and poll, which a request has where its reply has them. */
#define REPLY_BYTE(version, mode) [(version) << 3 | (mode)] = (version) << 3 | ((mode) == 1 ? 2 : 4)
#define REPLY_BYTES(version)      REPLY_BYTE(version, 1), REPLY_BYTE(version, 3)

const uint8_t ntp_reply_byte[64] = {REPLY_BYTES(1), REPLY_BYTES(2), REPLY_BYTES(3), REPLY_BYTES(4)};

#define POLL_MASK 0xff0000u

enum verdict ntp_reply_plain(struct thread_state *state, struct request *rq,
			     struct tx_record *tx_record)
{
	uint8_t *p = rq->payload;
	uint32_t asked = load_u32(p);

	state->counts.request[asked & 63]++;
	ntp_clients_add(state->counts.clients, rq->source, rq->ip_version, state->seed);
	rq->sum = fill_header(
		state, state->now.first | ntp_reply_byte[asked & 63] | (asked & POLL_MASK),
		state->now.second, load_u64(p + offsetof(struct ntp_header, transmit)),
		receive_time(state, rq->rx_ns), p);
	store_u64(p + offsetof(struct ntp_header, transmit), 0);
	rq->reply_sum = REPLY_SUM_BEGUN;
	tx_record->key = NULL;
	tx_record->stamp = true;
	tx_record->save = false;
	return VERDICT_ntp_answered;
}

/*
 * The origin of an interleaved reply is the client's receive timestamp, and its transmit timestamp
 * is when the previous reply really left. The origin of a basic reply is the client's transmit
 * timestamp, and ntp_finish() fills in its own transmit time. A kiss-o'-death (RFC 5905 section
 * 7.4) claims to be unsynchronized.
 */
static void fill(struct thread_state *state, struct request *rq, const struct ntp_query *query,
		 int8_t poll, bool kod, uint64_t transmit)
{
	uint64_t first = state->now.first, second = state->now.second, origin;
	uint8_t *p = rq->payload;

	if (kod) {
		first |= 3u << 6;
		((uint8_t *)&first)[1] = 0;
		second = (uint32_t)second | (uint64_t)__builtin_bswap32(NTP_KOD_RATE) << 32;
	}
	first |= (uint64_t)(query->version << 3 | query->mode) | (uint64_t)(uint8_t)poll << 16;
	origin = load_u64(p + (transmit ? offsetof(struct ntp_header, receive)
					: offsetof(struct ntp_header, transmit)));
	rq->sum = fill_header(state, first, second, origin, receive_time(state, rq->rx_ns), p);
	transmit = __builtin_bswap64(transmit);
	store_u64(p + offsetof(struct ntp_header, transmit), transmit);
	rq->sum = checksum_word(rq->sum, transmit);
	rq->reply_sum = REPLY_SUM_BEGUN;
}

enum verdict ntp_reply(const struct snapshot *snap, struct thread_state *state, struct request *rq,
		       const struct ntp_query *query, struct tx_record *tx_record)
{
	enum verdict verdict = VERDICT_ntp_answered;
	int8_t poll, poll_min = NTP_POLL_MIN;
	uint8_t *p = rq->payload;
	uint64_t transmit = 0;
	bool interleaved;

	if (query->pending) {
		verdict = admit(snap, state, rq, query);
		if (!verdict_answers(verdict))
			return verdict;
	}
	interleaved = query->interleaved && verdict == VERDICT_ntp_answered;
	if (interleaved)
		transmit = ntp_saved_take(&state->saved,
					  load_be64(p + offsetof(struct ntp_header, origin)));
	if (state->ratelimit)
		poll_min = snap->ntp_ratelimit.interval;
	poll = (int8_t)p[offsetof(struct ntp_header, poll)];
	fill(state, rq, query, poll > poll_min ? poll : poll_min, verdict == VERDICT_ntp_kod,
	     transmit);
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
