// SPDX-License-Identifier: Apache-2.0
/* Which NTP requests are answered: RFC 5905, RFC 7822, and chrony's behavior where it differs. */
#include "base/bytes.h"
#include "ntp/ntp.h"
#include "runtime/access.h"
#include "runtime/snapshot.h"

/* RFC 5905 figure 10. */
enum ntp_mode { MODE_RESERVED, MODE_ACTIVE, MODE_PASSIVE, MODE_CLIENT, MODE_SERVER };

#define NTP_PORT 123

/*
 * Key ID and digest. In version 4 the digest is 16 bytes (MD5, AES-CMAC) to 20 (SHA-1, or longer
 * ones truncated), RFC 7822 section 3; in earlier versions up to a full SHA-512, as in chrony.
 */
#define NTP_MAC_MIN    (4 + NTP_CMAC_BYTES)
#define NTP_MAC_MAX_V4 (4 + NTP_DIGEST_MAX_V4)
#define NTP_MAC_MAX    (4 + NTP_DIGEST_MAX)

/* Header, 1024 bytes of extension fields, and the longest MAC: chrony's limit. */
#define NTP_MAX_BYTES (NTP_HEADER_BYTES + 1024 + NTP_MAC_MAX)

/* Shortest extension field, and shortest last one if no MAC follows: RFC 7822 section 3. */
#define NTP_FIELD_MIN      16
#define NTP_FIELD_LAST_MIN 28

/* NTS: RFC 8915 section 7.5 (Unique Identifier, Cookie, Cookie Placeholder, Authenticator). */
#define NTP_FIELD_NTS_UNIQUE        0x0104
#define NTP_FIELD_NTS_COOKIE        0x0204
#define NTP_FIELD_NTS_PLACEHOLDER   0x0304
#define NTP_FIELD_NTS_AUTHENTICATOR 0x0404

static bool field_is_nts(uint16_t type)
{
	return type == NTP_FIELD_NTS_UNIQUE || type == NTP_FIELD_NTS_COOKIE ||
	       type == NTP_FIELD_NTS_PLACEHOLDER || type == NTP_FIELD_NTS_AUTHENTICATOR;
}

/* Whether the last `left` bytes are a MAC; in version 4 only its length sets it apart. */
static bool is_mac(uint32_t left, uint8_t version)
{
	return left >= NTP_MAC_MIN && left <= (version < 4 ? NTP_MAC_MAX : NTP_MAC_MAX_V4);
}

/* Key ID 0 means crypto-NAK (RFC 5905 section 7.3) and is never a key. */
static enum verdict find_key(const struct snapshot *snap, const struct request *rq, uint32_t at,
			     struct ntp_query *query)
{
	query->mac_at = (uint16_t)at;
	if (snap->ntp_keys)
		query->key = ntp_keys_find(snap->ntp_keys, load_be32(rq->payload + at));
	query->pending = true;
	return query->key ? VERDICT_PENDING : VERDICT_ntp_key;
}

/*
 * Parses what follows the header like RFC 7822 and chrony: extension fields (version 4 only), then
 * an optional MAC. Unknown fields are skipped, and so are NTS fields if the message ends in a MAC.
 */
static enum verdict walk_fields(const struct snapshot *snap, const struct request *rq,
				struct ntp_query *query)
{
	uint32_t at = NTP_HEADER_BYTES, left, length;
	const uint8_t *field;
	bool nts = false;
	uint16_t type;

	for (; (left = rq->length - at) > 0; at += length) {
		if (is_mac(left, query->version))
			return find_key(snap, rq, at, query);
		field = rq->payload + at;
		if (query->version < 4 || left < NTP_FIELD_LAST_MIN)
			return VERDICT_ntp_extension;
		type = load_be16(field);
		length = load_be16(field + 2);
		if (length < NTP_FIELD_MIN || length % 4 || length > left)
			return VERDICT_ntp_extension;
		nts |= field_is_nts(type);
		query->mono_root |= type == NTP_FIELD_MONO_ROOT &&
				    length == NTP_FIELD_MONO_ROOT_BYTES &&
				    load_be32(field + 4) == NTP_FIELD_MONO_ROOT_MAGIC;
	}
	return nts ? VERDICT_ntp_nts : VERDICT_PENDING;
}

/* The reply's mode for the request's mode, or in *verdict the reason for not replying. */
static uint8_t reply_mode(const struct request *rq, uint8_t version, uint8_t mode,
			  enum verdict *verdict)
{
	if (version < 1 || version > 4)
		*verdict = VERDICT_ntp_version;
	else if (mode == MODE_CLIENT)
		return MODE_SERVER;
	else if (mode == MODE_ACTIVE)
		return MODE_PASSIVE;
	else if (mode != MODE_RESERVED || version != 1)
		*verdict = VERDICT_ntp_mode;
	else if (rq->source_port == NTP_PORT)
		/* RFC 1059 had no modes: a peer uses port 123, a client any other. */
		*verdict = VERDICT_ntp_port;
	return MODE_SERVER;
}

/*
 * RFC 9769 section 2: a client in interleaved mode sends our last receive timestamp as its origin,
 * recognizable by its lowest bit, and receive and transmit timestamps that differ.
 */
static bool request_is_interleaved(const uint8_t *p)
{
	uint64_t origin = load_be64(p + offsetof(struct ntp_header, origin));

	return origin & NTP_LOW_BIT && load_be64(p + offsetof(struct ntp_header, receive)) !=
					       load_be64(p + offsetof(struct ntp_header, transmit));
}

enum verdict ntp_read(const struct snapshot *snap, struct thread_state *state,
		      const struct request *rq, struct ntp_query *query)
{
	enum verdict verdict = VERDICT_PENDING;
	const uint8_t *p = rq->payload;
	uint8_t mode;

	if (rq->length < NTP_HEADER_BYTES || rq->length % 4 || rq->length > NTP_MAX_BYTES)
		return VERDICT_ntp_length;
	*query = (struct ntp_query){.version = p[0] >> 3 & 7};
	mode = p[0] & 7;
	query->mode = reply_mode(rq, query->version, mode, &verdict);
	if (verdict != VERDICT_PENDING) {
		state->counts.refused[query->version]++;
		return verdict;
	}
	state->counts.request[p[0] & 63]++;
	if (snap->ntp_access) {
		verdict = access_check(snap->ntp_access, rq->source, rq->ip_version,
				       VERDICT_ntp_denied);
		if (verdict != VERDICT_PENDING)
			return verdict;
	}
	ntp_clients_add(state->counts.clients, rq->source, rq->ip_version, state->seed);
	if (state->ratelimit) {
		query->pending = true;
		query->client = ratelimit_hash(state->ratelimit, &snap->ntp_ratelimit, rq->source,
					       rq->ip_version);
		ratelimit_prefetch(state->ratelimit, query->client);
	}
	if (query->version == 4 && state->saved.entries && request_is_interleaved(p)) {
		query->pending = query->interleaved = true;
		ntp_saved_prefetch(&state->saved,
				   load_be64(p + offsetof(struct ntp_header, origin)));
	}
	if (rq->length == NTP_HEADER_BYTES)
		return VERDICT_PENDING;
	return walk_fields(snap, rq, query);
}
