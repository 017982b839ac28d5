// SPDX-License-Identifier: Apache-2.0
#include "blast.h"

#include <linux/in.h>

#include "ntp.h"

/* Version 4, mode 3 (client): RFC 5905 figure 8. */
#define NTP_CLIENT 0x23
#define NTP_SERVER 0x24

/* SplitMix64's finalizer (Steele, Lea, Flood 2014): a sequence number's query, as if at random. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static uint16_t source_port(const struct blast *blast, uint64_t sequence)
{
	return (uint16_t)(blast->first_port + sequence % blast->ports);
}

static const uint8_t *query_of(const struct blast *blast, uint64_t sequence, uint32_t *length)
{
	uint64_t index = mix(sequence) % blast->query_count;

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

/* The sequence number a reply names; false when it cannot be one of ours. */
static bool sequence_of(const struct blast *blast, const struct request *rq, uint64_t *sequence)
{
	uint32_t at;

	if (rq->service == SERVICE_dns) {
		if (rq->length < 12)
			return false;
		/* The latest one with this id that was sent. */
		*sequence = blast->sequence - 1 -
			    (uint16_t)((uint16_t)(blast->sequence - 1) - load_be16(rq->payload));
		return true;
	}
	at = rq->service == SERVICE_ntp ? offsetof(struct ntp_header, origin) : 0;
	if (rq->length < at + sizeof *sequence)
		return false;
	*sequence = load_be64(rq->payload + at) ^ blast->key;
	return true;
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
	uint32_t power = 63 - (uint32_t)__builtin_clzll(ns | 16);

	/* The four bits below the highest one choose among 16 buckets. */
	blast->histogram[power * 16 + (ns >> (power - 4) & 15)]++;
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
	rq.service = blast->service;
	if (!sender_is_right(blast, &rq) || !sequence_of(blast, &rq, &sequence))
		goto wrong;
	if (sequence >= blast->sequence ||
	    load_be16(frame.udp + 2) != source_port(blast, sequence) ||
	    !payload_is_right(blast, &rq, sequence))
		goto wrong;
	slot = &blast->slot[sequence % BLAST_WINDOW];
	if (slot->sequence != sequence || !slot->sent_ns) {
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
		slot->sent_ns = 0;
		blast->open--;
		blast->lost++;
	}
}
