// SPDX-License-Identifier: Apache-2.0
/* What makes a reply correct. */
#include "loadgen/loadgen.h"

#include <linux/in.h>

#include "loadgen/zone_version.h"
#include "ntp/ntp.h"

/* Version 4, mode 4 (server): RFC 5905 figure 8. */
#define NTP_SERVER 0x24

/* Whether the reply is from the address and port that requests go to. */
static bool sender_matches(const struct loadgen *loadgen, const struct request *rq)
{
	const uint8_t *udp = loadgen->header + loadgen->header_bytes - FRAME_UDP_BYTES;
	const uint8_t *ip = loadgen->header + loadgen->ip_at;

	if (rq->ip_version != loadgen->ip_version || rq->source_port != load_be16(udp + 2))
		return false;
	return rq->ip_version == 4 ? memcmp(rq->source, ip + 16, 4) == 0
				   : memcmp(rq->source, ip + 24, 16) == 0;
}

/* The origin timestamp of a basic reply to this request. */
static uint64_t mark_of(const struct loadgen *loadgen, uint64_t sequence)
{
	return sequence ^ loadgen->key;
}

/*
 * A server reply that gives time, as long as the request, with the same four bytes after the header
 * (a key ID). The client checks the transmit time that an interleaved reply reports.
 */
static bool ntp_is_right(const struct loadgen *loadgen, const struct request *rq, uint64_t sequence)
{
	const uint8_t *query, *p = rq->payload;
	uint64_t origin = load_be64(p + offsetof(struct ntp_header, origin));
	uint64_t receive = load_be64(p + offsetof(struct ntp_header, receive));
	uint64_t transmit = load_be64(p + offsetof(struct ntp_header, transmit));
	uint32_t length = NTP_HEADER_BYTES;

	if (loadgen->query_count) {
		query = loadgen_query(loadgen, sequence, &length);
		if (rq->length == length && length > NTP_HEADER_BYTES &&
		    memcmp(p + NTP_HEADER_BYTES, query + NTP_HEADER_BYTES, 4) != 0)
			return false;
	}
	if (rq->length != length || (p[0] & 0x3f) != NTP_SERVER || p[1] < 1 || p[1] > 15 ||
	    receive == 0 || transmit == receive)
		return false;
	return loadgen_clients_is_interleaved(origin, mark_of(loadgen, sequence)) ||
	       (int64_t)(transmit - receive) > 0;
}

/* A complete answer to that question: response, no error, not truncated, same question bytes. */
static bool dns_is_right(struct loadgen *loadgen, const struct request *rq, uint64_t sequence)
{
	const uint8_t *query, *p = rq->payload;
	uint32_t length, at = 12;

	query = loadgen_query(loadgen, sequence, &length);
	while (at < length && query[at])
		at += 1u + query[at];
	at += 1 + 4;
	if (rq->length <= at || (p[2] & 0x82) != 0x80 || (p[3] & 0x0f) != 0 ||
	    load_be16(p + 4) != 1 || memcmp(p + 12, query + 12, at - 12) != 0)
		return false;
	return loadgen->versioned ? loadgen_version_check(loadgen, p, rq->length, at)
				  : load_be16(p + 6) >= 1;
}

/* Whether the reply went to the address and port that its request came from. */
static bool receiver_matches(const struct loadgen *loadgen, const struct request *rq,
			     uint64_t sequence)
{
	const uint8_t *first =
		loadgen->header + loadgen->ip_at + (loadgen->ip_version == 4 ? 12 : 8);
	const uint8_t *receiver = rq->source + (loadgen->ip_version == 4 ? 4 : 16);
	uint32_t rest = loadgen->ip_version == 4 ? 0 : 12;

	return load_be16(rq->payload - FRAME_UDP_BYTES + 2) == loadgen_port(loadgen, sequence) &&
	       memcmp(receiver, first, rest) == 0 &&
	       load_be32(receiver + rest) == loadgen_source(loadgen, sequence);
}

/*
 * The latest request whose sequence number is congruent to `rest` modulo `range`, and that came
 * from where the reply went; false if there is none.
 */
static bool sequence_of_rest(const struct loadgen *loadgen, const struct request *rq, uint64_t rest,
			     uint64_t range, uint64_t *sequence)
{
	if (rest >= loadgen->sequence)
		return false;
	*sequence = loadgen->sequence - 1 - (loadgen->sequence - 1 - rest) % range;
	for (int turn = 0; turn < LOADGEN_ID_TURNS; turn++, *sequence -= range) {
		if (receiver_matches(loadgen, rq, *sequence))
			return true;
		if (*sequence < range)
			return false;
	}
	return false;
}

/* The sequence number of a reply's request; false if it cannot be one of ours. */
static bool sequence_of(const struct loadgen *loadgen, const struct request *rq, uint64_t *sequence)
{
	uint32_t at = rq->service == SERVICE_ntp ? offsetof(struct ntp_header, origin) : 0, length;
	uint64_t mark, first;

	if (rq->service == SERVICE_dns)
		return rq->length >= 12 && sequence_of_rest(loadgen, rq, load_be16(rq->payload),
							    LOADGEN_WINDOW, sequence);
	if (rq->length < (rq->service == SERVICE_ntp ? NTP_HEADER_BYTES : sizeof mark))
		return false;
	mark = load_be64(rq->payload + at);
	if (loadgen->query_count) {
		first = load_be64(loadgen_query(loadgen, 0, &length) +
				  offsetof(struct ntp_header, transmit));
		return mark - first < loadgen->query_count &&
		       sequence_of_rest(loadgen, rq, mark - first, loadgen->query_count, sequence);
	}
	*sequence = mark ^ loadgen->key;
	if (loadgen->clients.count && *sequence >= loadgen->sequence)
		*sequence = ~*sequence;
	return *sequence < loadgen->sequence && receiver_matches(loadgen, rq, *sequence);
}

static bool payload_is_right(struct loadgen *loadgen, const struct request *rq, uint64_t sequence)
{
	switch (loadgen->service) {
	case SERVICE_ntp:
		return ntp_is_right(loadgen, rq, sequence);
	case SERVICE_dns:
		return dns_is_right(loadgen, rq, sequence);
	default:
		for (uint32_t i = 8; i < rq->length; i++)
			if (rq->payload[i] != 0x55)
				return false;
		return rq->length == loadgen->echo_bytes;
	}
}

enum loadgen_judgment loadgen_reply(struct loadgen *loadgen, uint8_t *data, uint32_t length,
				    uint64_t now_ns, uint64_t arrived_ns)
{
	struct loadgen_slot *slot;
	struct request rq;
	struct frame frame;
	uint64_t sequence;

	if (frame_parse(&loadgen->blank, data, length, length, &frame, &rq) != VERDICT_PENDING)
		goto wrong;
	if (loadgen->shared && (uint16_t)(load_be16(rq.payload - FRAME_UDP_BYTES + 2) -
					  loadgen->first_port) >= loadgen->ports)
		return LOADGEN_STRAY;
	rq.service = loadgen->service;
	if (!sender_matches(loadgen, &rq) || !sequence_of(loadgen, &rq, &sequence) ||
	    !payload_is_right(loadgen, &rq, sequence))
		goto wrong;
	slot = &loadgen->slot[sequence % LOADGEN_WINDOW];
	if (slot->sequence != sequence) {
		loadgen->late++;
		return LOADGEN_LATE;
	}
	if (!slot->sent_ns) {
		loadgen->duplicate++;
		return LOADGEN_DUPLICATE;
	}
	if (loadgen->clients.count) {
		if (!loadgen_clients_reply(&loadgen->clients, sequence, mark_of(loadgen, sequence),
					   rq.payload, arrived_ns))
			goto wrong;
		loadgen_clients_release(&loadgen->clients, sequence);
	}
	loadgen_times_add(&loadgen->latency, now_ns - slot->sent_ns);
	slot->sent_ns = 0;
	loadgen->open--;
	loadgen->answered++;
	return LOADGEN_RIGHT;
wrong:
	loadgen->wrong++;
	return LOADGEN_WRONG;
}
