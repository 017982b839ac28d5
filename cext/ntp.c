// SPDX-License-Identifier: Apache-2.0
#include "ntp.h"

#include <string.h>

#include "bytes.h"
#include "snapshot.h"

/* RFC 5905 figure 10. */
enum ntp_mode { MODE_RESERVED, MODE_ACTIVE, MODE_PASSIVE, MODE_CLIENT, MODE_SERVER };

#define NTP_PORT 123

/* Header, 1024 bytes of extension fields and the longest MAC (4 + 64): what chrony accepts. */
#define NTP_MAX_BYTES (NTP_HEADER_BYTES + 1024 + 68)

/* Key id and digest of 16 bytes (MD5, AES-CMAC) to 20 (SHA-1, longer ones cut): RFC 7822 3. */
#define NTP_MAC_MIN 20
#define NTP_MAC_MAX 24

/* Shortest extension field, and shortest as the last one without a MAC: RFC 7822 section 3. */
#define NTP_FIELD_MIN      16
#define NTP_FIELD_LAST_MIN 28

/* NTS: RFC 8915 section 7.5 (Unique Identifier, Cookie, Cookie Placeholder, Authenticator). */
#define NTP_FIELD_NTS_UNIQUE        0x0104
#define NTP_FIELD_NTS_COOKIE        0x0204
#define NTP_FIELD_NTS_PLACEHOLDER   0x0304
#define NTP_FIELD_NTS_AUTHENTICATOR 0x0404

/* chrony's experimental field: root delay and dispersion in finer units, monotonic receive time. */
#define NTP_FIELD_MONO_ROOT       0xf323
#define NTP_FIELD_MONO_ROOT_MAGIC 0xf5bedd9a
#define NTP_FIELD_MONO_ROOT_BYTES 28

/* Lowest poll a reply carries: chrony's floor for requests below it (2^-19 s). */
#define NTP_POLL_MIN (-19)

/* Lowest bit of a timestamp: 1 in ours of receipt, 0 in ours of transmission: never equal. */
#define NTP_LOW_BIT 1ull

static bool field_is_nts(uint16_t type)
{
	return type == NTP_FIELD_NTS_UNIQUE || type == NTP_FIELD_NTS_COOKIE ||
	       type == NTP_FIELD_NTS_PLACEHOLDER || type == NTP_FIELD_NTS_AUTHENTICATOR;
}

/*
 * Walks what follows the header as RFC 7822 and chrony do: extension fields (version 4 only), then
 * perhaps a MAC. Unknown fields are skipped. *mono_root tells that a reply must carry that field.
 */
static enum verdict walk_fields(const struct request *rq, uint8_t version, bool *mono_root)
{
	uint32_t at = NTP_HEADER_BYTES, left, length;
	const uint8_t *field;
	bool nts = false;
	uint16_t type;

	for (; (left = rq->length - at) > 0; at += length) {
		if (version < 4 || (left >= NTP_MAC_MIN && left <= NTP_MAC_MAX))
			return left >= NTP_MAC_MIN ? VERDICT_ntp_key : VERDICT_ntp_extension;
		field = rq->payload + at;
		if (left < NTP_FIELD_LAST_MIN)
			return VERDICT_ntp_extension;
		type = load_be16(field);
		length = load_be16(field + 2);
		if (length < NTP_FIELD_MIN || length % 4 || length > left)
			return VERDICT_ntp_extension;
		nts |= field_is_nts(type);
		*mono_root |= type == NTP_FIELD_MONO_ROOT && length == NTP_FIELD_MONO_ROOT_BYTES &&
			      load_be32(field + 4) == NTP_FIELD_MONO_ROOT_MAGIC;
	}
	return nts ? VERDICT_ntp_nts : VERDICT_redirected;
}

/* The reply's mode for the request's, or the reason for silence in *verdict. */
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
		/* RFC 1059 had no modes: a client is known by its port, a peer has 123. */
		*verdict = VERDICT_ntp_port;
	return MODE_SERVER;
}

/* Fills the 0xF323 field behind the header; root delay and dispersion in units of 2^-28 s. */
static void fill_mono_root(const struct ntp_state *ntp, uint64_t rx_ns, uint8_t *field)
{
	/* Short format has 16 fraction bits, this field 28: 12 more, only 4 bits for seconds. */
	uint32_t delay = ntp->root_delay >> 20 ? UINT32_MAX : ntp->root_delay << 12;
	uint32_t dispersion = ntp->root_dispersion >> 20 ? UINT32_MAX : ntp->root_dispersion << 12;

	store_be16(field, NTP_FIELD_MONO_ROOT);
	store_be16(field + 2, NTP_FIELD_MONO_ROOT_BYTES);
	store_be32(field + 4, NTP_FIELD_MONO_ROOT_MAGIC);
	store_be32(field + 8, delay);
	store_be32(field + 12, dispersion);
	store_be64(field + 16, ntp_time(rx_ns + (uint64_t)ntp->mono_offset_ns));
	store_be32(field + 24, ntp->mono_epoch);
}

enum verdict ntp_answer(const struct snapshot *snap, struct request *rq)
{
	const struct ntp_state *ntp = &snap->ntp;
	enum verdict verdict = VERDICT_redirected;
	bool mono_root = false;
	uint8_t *p = rq->payload;
	uint64_t receive, first;
	int8_t poll;
	uint8_t version, mode;

	if (rq->length < NTP_HEADER_BYTES || rq->length % 4 || rq->length > NTP_MAX_BYTES)
		return VERDICT_ntp_length;
	version = p[0] >> 3 & 7;
	mode = reply_mode(rq, version, p[0] & 7, &verdict);
	if (verdict != VERDICT_redirected)
		return verdict;
	if (rq->length > NTP_HEADER_BYTES) {
		verdict = walk_fields(rq, version, &mono_root);
		if (verdict != VERDICT_redirected)
			return verdict;
	}

	receive = ntp_time(rq->rx_ns) | NTP_LOW_BIT;
	poll = (int8_t)p[2];
	poll = poll > NTP_POLL_MIN ? poll : NTP_POLL_MIN;
	/* Whole words: the checksum's wide loads would stall on a row of narrow stores. */
	first = (uint64_t)(ntp->leap << 6 | version << 3 | mode) << 56 |
		(uint64_t)(ntp->stratum < 16 ? ntp->stratum : 0) << 48 |
		(uint64_t)(uint8_t)poll << 40 | (uint64_t)(uint8_t)ntp->precision << 32 |
		ntp->root_delay;
	store_be64(p, first);
	store_be64(p + 8, (uint64_t)ntp->root_dispersion << 32 | ntp->refid);
	/* A clock that is its own reference was last set at the latest whole second. */
	store_be64(p + offsetof(struct ntp_header, reference), receive & ~0xffffffffull);
	memcpy(p + offsetof(struct ntp_header, origin), p + offsetof(struct ntp_header, transmit),
	       8);
	store_be64(p + offsetof(struct ntp_header, receive), receive);
	store_be64(p + offsetof(struct ntp_header, transmit), 0);
	rq->length = NTP_HEADER_BYTES;
	if (mono_root) {
		fill_mono_root(ntp, rq->rx_ns, p + NTP_HEADER_BYTES);
		rq->length += NTP_FIELD_MONO_ROOT_BYTES;
	}
	return VERDICT_ntp_answered;
}

uint64_t ntp_stamp(uint8_t *payload, uint64_t transmit)
{
	uint64_t receive = load_be64(payload + offsetof(struct ntp_header, receive));
	uint64_t value;

	transmit &= ~NTP_LOW_BIT;
	/* Signed difference: eras wrap in 2036. A clock stepped back between the reads ends here.
	 */
	if ((int64_t)(transmit - receive) < 0)
		transmit = receive + NTP_LOW_BIT;
	value = __builtin_bswap64(transmit);
	memcpy(payload + offsetof(struct ntp_header, transmit), &value, sizeof value);
	return value;
}
