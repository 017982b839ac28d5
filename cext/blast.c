// SPDX-License-Identifier: Apache-2.0
#include "blast.h"

#include <linux/in.h>

#include "ntp.h"

/* Version 4, mode 3 (client): RFC 5905 figure 8. */
#define NTP_CLIENT 0x23
#define NTP_SERVER 0x24

static uint16_t source_port(const struct blast *blast, uint64_t sequence)
{
	return (uint16_t)(blast->first_port + sequence / blast->addresses % blast->ports);
}

/* Offset from an IP header's start of the last four bytes of its source address. */
static uint32_t source_end(const struct blast *blast)
{
	return blast->ip_version == 4 ? 12 : 8 + 12;
}

static uint32_t source_address(const struct blast *blast, uint64_t sequence)
{
	const uint8_t *first = blast->header + blast->ip_at + source_end(blast);

	return load_be32(first) + (uint32_t)(sequence % blast->addresses);
}

/* In the order given: read ahead by the processor, however many there are. */
static const uint8_t *query_of(const struct blast *blast, uint64_t sequence, uint32_t *length)
{
	uint64_t index = sequence % blast->query_count;

	*length = blast->query_at[index + 1] - blast->query_at[index];
	return blast->queries + blast->query_at[index];
}

/* ---------------------------------------------------------------------------------------------- */

static uint32_t fill_payload(const struct blast *blast, uint8_t *payload)
{
	uint64_t mark = blast->sequence ^ blast->key;
	const uint8_t *query;
	uint32_t length;

	switch (blast->service) {
	case SERVICE_ntp:
		memset(payload, 0, NTP_HEADER_BYTES);
		payload[0] = NTP_CLIENT;
		store_be64(payload + offsetof(struct ntp_header, transmit), mark);
		return NTP_HEADER_BYTES;
	case SERVICE_dns:
		query = query_of(blast, blast->sequence, &length);
		memcpy(payload, query, length);
		store_be16(payload, (uint16_t)blast->sequence);
		return length;
	default:
		memset(payload, 0x55, blast->echo_bytes);
		store_be64(payload, mark);
		return blast->echo_bytes;
	}
}

uint32_t blast_request(struct blast *blast, uint8_t *data, uint64_t now_ns)
{
	struct blast_slot *slot = &blast->slot[blast->sequence % BLAST_WINDOW];
	uint8_t *ip = data + blast->ip_at, *udp = data + blast->header_bytes - FRAME_UDP_BYTES;
	uint32_t addresses = blast->ip_version == 4 ? 8 : 32;
	uint32_t length, udp_length;
	uint64_t sum;
	uint16_t check;

	memcpy(data, blast->header, blast->header_bytes);
	store_be32(ip + source_end(blast), source_address(blast, blast->sequence));
	length = fill_payload(blast, data + blast->header_bytes);
	udp_length = FRAME_UDP_BYTES + length;
	if (blast->ip_version == 4) {
		store_be16(ip + 2, (uint16_t)(FRAME_IPV4_BYTES + udp_length));
		check = (uint16_t)~checksum_fold(checksum_add(0, ip, FRAME_IPV4_BYTES));
		memcpy(ip + 10, &check, sizeof check);
	} else {
		store_be16(ip + 4, (uint16_t)udp_length);
	}
	store_be16(udp, source_port(blast, blast->sequence));
	store_be16(udp + 4, (uint16_t)udp_length);
	/* Pseudo header: protocol and length, as words of network order loaded in host order. */
	sum = __builtin_bswap16(IPPROTO_UDP);
	sum += __builtin_bswap16((uint16_t)udp_length);
	sum = checksum_add(sum, ip + (blast->ip_version == 4 ? 12 : 8), addresses);
	check = checksum_udp(checksum_add(sum, udp, udp_length));
	memcpy(udp + 6, &check, sizeof check);

	if (slot->sent_ns)
		blast->lost++;
	else
		blast->open++;
	*slot = (struct blast_slot){now_ns, blast->sequence};
	blast->sequence++;
	blast->sent++;
	return blast->header_bytes + udp_length;
}

/* ---------------------------------------------------------------------------------------------- */

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

static bool ntp_is_right(const struct request *rq)
{
	const uint8_t *p = rq->payload;
	uint64_t receive = load_be64(p + offsetof(struct ntp_header, receive));
	uint64_t transmit = load_be64(p + offsetof(struct ntp_header, transmit));

	return rq->length == NTP_HEADER_BYTES && (p[0] & 0x3f) == NTP_SERVER && p[1] >= 1 &&
	       p[1] <= 15 && receive != 0 && transmit != receive &&
	       (int64_t)(transmit - receive) > 0;
}

/* A whole answer to the very question: response, no error, not cut, the same question bytes. */
static bool dns_is_right(const struct blast *blast, const struct request *rq, uint64_t sequence)
{
	const uint8_t *query, *p = rq->payload;
	uint32_t length, at = 12;

	query = query_of(blast, sequence, &length);
	while (at < length && query[at])
		at += 1u + query[at];
	at += 1 + 4;
	return rq->length > at && (p[2] & 0x82) == 0x80 && (p[3] & 0x0f) == 0 &&
	       load_be16(p + 4) == 1 && load_be16(p + 6) >= 1 &&
	       memcmp(p + 12, query + 12, at - 12) == 0;
}

/* A reply goes to the address and port that its request came from. */
static bool receiver_is_right(const struct blast *blast, const struct frame *frame,
			      uint64_t sequence)
{
	const uint8_t *first = blast->header + blast->ip_at + (blast->ip_version == 4 ? 12 : 8);
	uint32_t at = blast->ip_version == 4 ? 16 : 24, rest = blast->ip_version == 4 ? 0 : 12;

	return load_be16(frame->udp + 2) == source_port(blast, sequence) &&
	       memcmp(frame->ip + at, first, rest) == 0 &&
	       load_be32(frame->ip + at + rest) == source_address(blast, sequence);
}

/* The latest request with this DNS id that came from where the reply went; false without one. */
static bool sequence_of_id(const struct blast *blast, const struct frame *frame, uint16_t id,
			   uint64_t *sequence)
{
	uint64_t last = blast->sequence - 1;

	*sequence = last - (uint16_t)((uint16_t)last - id);
	for (int turn = 0; turn < BLAST_ID_TURNS; turn++, *sequence -= BLAST_WINDOW) {
		if (*sequence >= blast->sequence)
			return false;
		if (receiver_is_right(blast, frame, *sequence))
			return true;
	}
	return false;
}

/* The request that a reply names, by number; false when it cannot be one of ours. */
static bool sequence_of(const struct blast *blast, const struct frame *frame,
			const struct request *rq, uint64_t *sequence)
{
	uint32_t at;

	if (rq->service == SERVICE_dns)
		return rq->length >= 12 &&
		       sequence_of_id(blast, frame, load_be16(rq->payload), sequence);
	at = rq->service == SERVICE_ntp ? offsetof(struct ntp_header, origin) : 0;
	if (rq->length < at + sizeof *sequence)
		return false;
	*sequence = load_be64(rq->payload + at) ^ blast->key;
	return *sequence < blast->sequence && receiver_is_right(blast, frame, *sequence);
}

static bool payload_is_right(const struct blast *blast, const struct request *rq, uint64_t sequence)
{
	switch (blast->service) {
	case SERVICE_ntp:
		return ntp_is_right(rq);
	case SERVICE_dns:
		return dns_is_right(blast, rq, sequence);
	default:
		for (uint32_t i = 8; i < rq->length; i++)
			if (rq->payload[i] != 0x55)
				return false;
		return rq->length == blast->echo_bytes;
	}
}

static void count_latency(struct blast *blast, uint64_t ns)
{
	uint32_t power = 63 - (uint32_t)__builtin_clzll(ns | 1 << BLAST_BUCKET_BITS);
	uint32_t mask = (1 << BLAST_BUCKET_BITS) - 1;

	/* The bits below the highest one choose the bucket. */
	blast->histogram[(power << BLAST_BUCKET_BITS) +
			 (ns >> (power - BLAST_BUCKET_BITS) & mask)]++;
	if (ns > blast->slowest_ns)
		blast->slowest_ns = ns;
}

enum blast_judgement blast_reply(struct blast *blast, uint8_t *data, uint32_t length,
				 uint64_t now_ns)
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
	count_latency(blast, now_ns - slot->sent_ns);
	slot->sent_ns = 0;
	blast->open--;
	blast->answered++;
	return BLAST_RIGHT;
wrong:
	blast->wrong++;
	return BLAST_WRONG;
}

void blast_expire(struct blast *blast, uint64_t now_ns)
{
	for (; blast->oldest < blast->sequence; blast->oldest++) {
		struct blast_slot *slot = &blast->slot[blast->oldest % BLAST_WINDOW];

		/* A slot that was used again is counted by its later request. */
		if (slot->sequence != blast->oldest || !slot->sent_ns)
			continue;
		if (now_ns != UINT64_MAX && now_ns - slot->sent_ns < BLAST_TIMEOUT_NS)
			return;
		/* No request has this number: a reply that comes yet is late, not a duplicate. */
		*slot = (struct blast_slot){0, UINT64_MAX};
		blast->open--;
		blast->lost++;
	}
}
