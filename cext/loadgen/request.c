// SPDX-License-Identifier: Apache-2.0
#include "loadgen/loadgen.h"

#include <linux/in.h>

#include "ntp/ntp.h"

/* Version 4, mode 3 (client): RFC 5905 figure 8. */
#define NTP_CLIENT 0x23

static uint32_t fill_query(const struct blast *blast, uint8_t *payload)
{
	uint32_t length;
	const uint8_t *query = blast_query(blast, blast->sequence, &length);

	memcpy(payload, query, length);
	if (blast->service == SERVICE_dns)
		store_be16(payload, (uint16_t)blast->sequence);
	return length;
}

static uint32_t fill_ntp(struct blast *blast, uint64_t mark, uint8_t *payload)
{
	memset(payload, 0, NTP_HEADER_BYTES);
	payload[0] = NTP_CLIENT;
	store_be64(payload + offsetof(struct ntp_header, transmit), mark);
	if (blast->clients.count)
		blast_clients_ask(&blast->clients, blast->sequence, mark, payload);
	return NTP_HEADER_BYTES;
}

static uint32_t fill_payload(struct blast *blast, uint8_t *payload)
{
	uint64_t mark = blast->sequence ^ blast->key;

	if (blast->query_count)
		return fill_query(blast, payload);
	if (blast->service == SERVICE_ntp)
		return fill_ntp(blast, mark, payload);
	memset(payload, 0x55, blast->echo_bytes);
	store_be64(payload, mark);
	return blast->echo_bytes;
}

/* Gives up the request that is open in a slot. */
static void lose(struct blast *blast, const struct blast_slot *slot)
{
	blast->lost++;
	blast->open--;
	if (blast->clients.count)
		blast_clients_back(&blast->clients, slot->sequence);
}

uint32_t blast_request(struct blast *blast, uint8_t *data, uint64_t now_ns)
{
	struct blast_slot *slot = &blast->slot[blast->sequence % BLAST_WINDOW];
	uint8_t *ip = data + blast->ip_at, *udp = data + blast->header_bytes - FRAME_UDP_BYTES;
	uint32_t addresses = blast->ip_version == 4 ? 8 : 32;
	uint32_t length, udp_length;
	uint64_t sum;
	uint16_t check;

	if (slot->sent_ns)
		lose(blast, slot);
	memcpy(data, blast->header, blast->header_bytes);
	store_be32(ip + blast_source_end(blast), blast_source(blast, blast->sequence));
	length = fill_payload(blast, data + blast->header_bytes);
	udp_length = FRAME_UDP_BYTES + length;
	if (blast->ip_version == 4) {
		store_be16(ip + 2, (uint16_t)(FRAME_IPV4_BYTES + udp_length));
		check = (uint16_t)~checksum_fold(checksum_add(0, ip, FRAME_IPV4_BYTES));
		memcpy(ip + 10, &check, sizeof check);
	} else {
		store_be16(ip + 4, (uint16_t)udp_length);
	}
	store_be16(udp, blast_port(blast, blast->sequence));
	store_be16(udp + 4, (uint16_t)udp_length);
	/* Pseudo header: protocol and length, as words of network order loaded in host order. */
	sum = __builtin_bswap16(IPPROTO_UDP);
	sum += __builtin_bswap16((uint16_t)udp_length);
	sum = checksum_add(sum, ip + (blast->ip_version == 4 ? 12 : 8), addresses);
	check = checksum_udp(checksum_add(sum, udp, udp_length));
	memcpy(udp + 6, &check, sizeof check);

	*slot = (struct blast_slot){now_ns, blast->sequence};
	blast->open++;
	blast->sequence++;
	blast->sent++;
	return blast->header_bytes + length;
}

/* ---------------------------------------------------------------------------------------------- */

void blast_expire(struct blast *blast, uint64_t now_ns)
{
	for (; blast->oldest < blast->sequence; blast->oldest++) {
		struct blast_slot *slot = &blast->slot[blast->oldest % BLAST_WINDOW];

		/* A slot that was used again is counted by its later request. */
		if (slot->sequence != blast->oldest || !slot->sent_ns)
			continue;
		if (now_ns != UINT64_MAX && now_ns - slot->sent_ns < BLAST_TIMEOUT_NS)
			return;
		lose(blast, slot);
		/* No request has this number: a reply that comes yet is late, not a duplicate. */
		*slot = (struct blast_slot){0, UINT64_MAX};
	}
}
