// SPDX-License-Identifier: Apache-2.0
/* What is a right reply. */
#include "loadgen/loadgen.h"

#include <linux/in.h>

#include "loadgen/zone_version.h"
#include "ntp/ntp.h"

/* Version 4, mode 4 (server): RFC 5905 figure 8. */
#define NTP_SERVER 0x24

/* The server's address and port, as the requests' header has them. */
static bool sender_is_right(const struct blast *blast, const struct request *rq)
{
	const uint8_t *udp = blast->header + blast->header_bytes - FRAME_UDP_BYTES;
	const uint8_t *ip = blast->header + blast->ip_at;

	if (rq->ip_version != blast->ip_version || rq->source_port != load_be16(udp + 2))
		return false;
	return rq->ip_version == 4 ? memcmp(rq->source, ip + 16, 4) == 0
				   : memcmp(rq->source, ip + 24, 16) == 0;
}

/* The origin timestamp of the reply to a request. */
static uint64_t mark_of(const struct blast *blast, uint64_t sequence)
{
	return sequence ^ blast->key;
}

/*
 * A server's reply with a time in it, as long as the request, and with the same four bytes behind
 * the header (a key's id). A departure that an interleaved one tells is the client's to judge.
 */
static bool ntp_is_right(const struct blast *blast, const struct request *rq, uint64_t sequence)
{
	const uint8_t *query, *p = rq->payload;
	uint64_t origin = load_be64(p + offsetof(struct ntp_header, origin));
	uint64_t receive = load_be64(p + offsetof(struct ntp_header, receive));
	uint64_t transmit = load_be64(p + offsetof(struct ntp_header, transmit));
	uint32_t length = NTP_HEADER_BYTES;

	if (blast->query_count) {
		query = blast_query(blast, sequence, &length);
		if (rq->length == length && length > NTP_HEADER_BYTES &&
		    memcmp(p + NTP_HEADER_BYTES, query + NTP_HEADER_BYTES, 4) != 0)
			return false;
	}
	if (rq->length != length || (p[0] & 0x3f) != NTP_SERVER || p[1] < 1 || p[1] > 15 ||
	    receive == 0 || transmit == receive)
		return false;
	return blast_clients_follows(origin, mark_of(blast, sequence)) ||
	       (int64_t)(transmit - receive) > 0;
}

/* A whole answer to the very question: response, no error, not cut, the same question bytes. */
static bool dns_is_right(struct blast *blast, const struct request *rq, uint64_t sequence)
{
	const uint8_t *query, *p = rq->payload;
	uint32_t length, at = 12;

	query = blast_query(blast, sequence, &length);
	while (at < length && query[at])
		at += 1u + query[at];
	at += 1 + 4;
	if (rq->length <= at || (p[2] & 0x82) != 0x80 || (p[3] & 0x0f) != 0 ||
	    load_be16(p + 4) != 1 || memcmp(p + 12, query + 12, at - 12) != 0)
		return false;
	return blast->versioned ? blast_version_follows(blast, p, rq->length, at)
				: load_be16(p + 6) >= 1;
}

/* A reply goes to the address and port that its request came from. */
static bool receiver_is_right(const struct blast *blast, const struct frame *frame,
			      uint64_t sequence)
{
	const uint8_t *first = blast->header + blast->ip_at + (blast->ip_version == 4 ? 12 : 8);
	uint32_t at = blast->ip_version == 4 ? 16 : 24, rest = blast->ip_version == 4 ? 0 : 12;

	return load_be16(frame->udp + 2) == blast_port(blast, sequence) &&
	       memcmp(frame->ip + at, first, rest) == 0 &&
	       load_be32(frame->ip + at + rest) == blast_source(blast, sequence);
}

/*
 * The latest request whose number leaves this rest divided by `range`, and that came from where the
 * reply went; false without one.
 */
static bool sequence_of_rest(const struct blast *blast, const struct frame *frame, uint64_t rest,
			     uint64_t range, uint64_t *sequence)
{
	if (rest >= blast->sequence)
		return false;
	*sequence = blast->sequence - 1 - (blast->sequence - 1 - rest) % range;
	for (int turn = 0; turn < BLAST_ID_TURNS; turn++, *sequence -= range) {
		if (receiver_is_right(blast, frame, *sequence))
			return true;
		if (*sequence < range)
			return false;
	}
	return false;
}

/* The request that a reply names, by number; false when it cannot be one of ours. */
static bool sequence_of(const struct blast *blast, const struct frame *frame,
			const struct request *rq, uint64_t *sequence)
{
	uint32_t at = rq->service == SERVICE_ntp ? offsetof(struct ntp_header, origin) : 0, length;
	uint64_t mark, first;

	if (rq->service == SERVICE_dns)
		return rq->length >= 12 && sequence_of_rest(blast, frame, load_be16(rq->payload),
							    BLAST_WINDOW, sequence);
	if (rq->length < (rq->service == SERVICE_ntp ? NTP_HEADER_BYTES : sizeof mark))
		return false;
	mark = load_be64(rq->payload + at);
	if (blast->query_count) {
		first = load_be64(blast_query(blast, 0, &length) +
				  offsetof(struct ntp_header, transmit));
		return mark - first < blast->query_count &&
		       sequence_of_rest(blast, frame, mark - first, blast->query_count, sequence);
	}
	*sequence = mark ^ blast->key;
	if (blast->clients.count && *sequence >= blast->sequence)
		*sequence = ~*sequence;
	return *sequence < blast->sequence && receiver_is_right(blast, frame, *sequence);
}

static bool payload_is_right(struct blast *blast, const struct request *rq, uint64_t sequence)
{
	switch (blast->service) {
	case SERVICE_ntp:
		return ntp_is_right(blast, rq, sequence);
	case SERVICE_dns:
		return dns_is_right(blast, rq, sequence);
	default:
		for (uint32_t i = 8; i < rq->length; i++)
			if (rq->payload[i] != 0x55)
				return false;
		return rq->length == blast->echo_bytes;
	}
}

enum blast_judgement blast_reply(struct blast *blast, uint8_t *data, uint32_t length,
				 uint64_t now_ns, uint64_t arrived_ns)
{
	struct blast_slot *slot;
	struct request rq;
	struct frame frame;
	uint64_t sequence;

	if (frame_parse(&blast->blank, data, length, length, &frame, &rq) != VERDICT_redirected)
		goto wrong;
	if (blast->shared &&
	    (uint16_t)(load_be16(frame.udp + 2) - blast->first_port) >= blast->ports)
		return BLAST_STRAY;
	rq.service = blast->service;
	if (!sender_is_right(blast, &rq) || !sequence_of(blast, &frame, &rq, &sequence) ||
	    !payload_is_right(blast, &rq, sequence))
		goto wrong;
	slot = &blast->slot[sequence % BLAST_WINDOW];
	if (slot->sequence != sequence) {
		blast->late++;
		return BLAST_LATE;
	}
	if (!slot->sent_ns) {
		blast->duplicate++;
		return BLAST_DUPLICATE;
	}
	if (blast->clients.count) {
		if (!blast_clients_reply(&blast->clients, sequence, mark_of(blast, sequence),
					 rq.payload, arrived_ns))
			goto wrong;
		blast_clients_back(&blast->clients, sequence);
	}
	blast_times_add(&blast->latency, now_ns - slot->sent_ns);
	slot->sent_ns = 0;
	blast->open--;
	blast->answered++;
	return BLAST_RIGHT;
wrong:
	blast->wrong++;
	return BLAST_WRONG;
}
