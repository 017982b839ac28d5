// SPDX-License-Identifier: Apache-2.0
#include "dns/cookie.h"

#include "base/bytes.h"
#include "runtime/thread_state.h"
#include "base/siphash.h"
#include "runtime/snapshot.h"

/* Option lengths, RFC 7873 section 4: a client cookie alone, or with 8 to 32 bytes after it. */
#define CLIENT_BYTES 8
#define LEAST_BYTES  16
#define MOST_BYTES   40

/* What precedes the hash: client cookie, version, reserved, timestamp. RFC 9018 section 4. */
#define HASHED_BYTES 16

/* Version 1 and reserved bytes of 0, as we send them. */
#define VERSION_WORD 0x01000000u

/* RFC 9018 section 4.3, seconds: accepted from the past, from the future; returned unchanged. */
#define PAST_S   3600
#define FUTURE_S 300
#define FRESH_S  1800

_Static_assert(DNS_COOKIE_BYTES == HASHED_BYTES + 8, "RFC 9018 section 4");

/* The hash is a 64-bit word in little-endian byte order, RFC 9018 section 4.4. */
static uint64_t cookie_hash(const uint64_t secret[2], const uint8_t *cookie,
			    const struct request *rq)
{
	uint64_t words[HASHED_BYTES / 8 + 2];
	uint32_t address;

	memcpy(words, cookie, HASHED_BYTES);
	if (rq->ip_version == 4) {
		memcpy(&address, rq->source, sizeof address);
		return siphash24(secret, words, 2, address | (HASHED_BYTES + 4ull) << 56);
	}
	memcpy(words + 2, rq->source, 16);
	return siphash24(secret, words, 4, (HASHED_BYTES + 16ull) << 56);
}

static void cookie_make(const struct dns_settings *dns, uint32_t now_s, const struct request *rq,
			uint8_t *cookie)
{
	uint64_t hash;

	store_be32(cookie + CLIENT_BYTES, VERSION_WORD);
	store_be32(cookie + CLIENT_BYTES + 4, now_s);
	hash = cookie_hash(dns->cookie_secret[0], cookie, rq);
	memcpy(cookie + HASHED_BYTES, &hash, sizeof hash);
}

/*
 * The index of the secret that the full cookie was made with, -1 if none of ours. The hash is
 * compared as one word, so the time taken does not reveal how much of a guess was right.
 */
static int cookie_secret(const struct dns_settings *dns, const struct request *rq,
			 const uint8_t *cookie)
{
	uint64_t given;

	if (cookie[CLIENT_BYTES] != VERSION_WORD >> 24)
		return -1;
	memcpy(&given, cookie + HASHED_BYTES, sizeof given);
	/* Nearly all are made with the first. */
	if (cookie_hash(dns->cookie_secret[0], cookie, rq) == given)
		return 0;
	for (int i = 1; i < dns->cookie_secrets; i++)
		if (cookie_hash(dns->cookie_secret[i], cookie, rq) == given)
			return i;
	return -1;
}

int dns_cookie_read(const struct snapshot *snap, struct thread_state *state,
		    const struct request *rq, const uint8_t *data, uint32_t length,
		    struct dns_query *q)
{
	const struct dns_settings *dns = &snap->dns;
	int32_t age;
	int secret;

	if (length != CLIENT_BYTES && (length < LEAST_BYTES || length > MOST_BYTES)) {
		state->dns.cookie_malformed++;
		return -1;
	}
	q->has_cookie = true;
	if (length == CLIENT_BYTES) {
		state->dns.cookie_client++;
	} else if (length != DNS_COOKIE_BYTES) {
		q->cookie_bad = true;
	} else {
		memcpy(q->cookie, data, DNS_COOKIE_BYTES);
		/* Serial arithmetic (RFC 1982): the timestamp wraps in 2106. */
		age = (int32_t)(state->now_s - load_be32(data + CLIENT_BYTES + 4));
		secret = age <= PAST_S && age >= -FUTURE_S ? cookie_secret(dns, rq, data) : -1;
		q->cookie_valid = secret >= 0;
		q->cookie_bad = secret < 0;
		state->dns.cookie_valid += q->cookie_valid;
		if (!secret && age <= FRESH_S && load_be32(data + CLIENT_BYTES) == VERSION_WORD)
			return 0;
	}
	state->dns.cookie_bad += q->cookie_bad;
	memcpy(q->cookie, data, CLIENT_BYTES);
	cookie_make(dns, state->now_s, rq, q->cookie);
	return 0;
}
