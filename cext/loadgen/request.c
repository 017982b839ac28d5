// SPDX-License-Identifier: Apache-2.0
#include "loadgen/loadgen.h"

#include <linux/in.h>

#include "ntp/ntp.h"

/* Version 4, mode 3 (client): RFC 5905 figure 8. */
#define NTP_CLIENT 0x23

static uint32_t fill_query(const struct loadgen *loadgen, uint8_t *payload)
{
	uint32_t length;
	const uint8_t *query = loadgen_query(loadgen, loadgen->sequence, &length);

	memcpy(payload, query, length);
	if (loadgen->service == SERVICE_dns)
		store_be16(payload, (uint16_t)loadgen->sequence);
	return length;
}

static uint32_t fill_ntp(struct loadgen *loadgen, uint64_t mark, uint8_t *payload)
{
	memset(payload, 0, NTP_HEADER_BYTES);
	payload[0] = NTP_CLIENT;
	store_be64(payload + offsetof(struct ntp_header, transmit), mark);
	if (loadgen->clients.count)
		loadgen_clients_ask(&loadgen->clients, loadgen->sequence, mark, payload);
	return NTP_HEADER_BYTES;
}

static uint32_t fill_payload(struct loadgen *loadgen, uint8_t *payload)
{
	uint64_t mark = loadgen->sequence ^ loadgen->key;

	if (loadgen->query_count)
		return fill_query(loadgen, payload);
	if (loadgen->service == SERVICE_ntp)
		return fill_ntp(loadgen, mark, payload);
	memset(payload, 0x55, loadgen->echo_bytes);
	store_be64(payload, mark);
	return loadgen->echo_bytes;
}

/* Counts the outstanding request of a slot as lost. */
static void lose(struct loadgen *loadgen, const struct loadgen_slot *slot)
{
	loadgen->lost++;
	loadgen->open--;
	if (loadgen->clients.count)
		loadgen_clients_release(&loadgen->clients, slot->sequence);
}

uint32_t loadgen_request(struct loadgen *loadgen, uint8_t *data, uint64_t now_ns)
{
	struct loadgen_slot *slot = &loadgen->slot[loadgen->sequence % LOADGEN_WINDOW];
	uint8_t *ip = data + loadgen->ip_at, *udp = data + loadgen->header_bytes - FRAME_UDP_BYTES;
	uint32_t addresses = loadgen->ip_version == 4 ? 8 : 32;
	uint32_t length, udp_length;
	uint64_t sum;
	uint16_t check;

	if (slot->sent_ns)
		lose(loadgen, slot);
	memcpy(data, loadgen->header, loadgen->header_bytes);
	store_be32(ip + loadgen_source_end(loadgen), loadgen_source(loadgen, loadgen->sequence));
	length = fill_payload(loadgen, data + loadgen->header_bytes);
	udp_length = FRAME_UDP_BYTES + length;
	if (loadgen->ip_version == 4) {
		store_be16(ip + 2, (uint16_t)(FRAME_IPV4_BYTES + udp_length));
		check = (uint16_t)~checksum_fold(checksum_add(0, ip, FRAME_IPV4_BYTES));
		memcpy(ip + 10, &check, sizeof check);
	} else {
		store_be16(ip + 4, (uint16_t)udp_length);
	}
	store_be16(udp, loadgen_port(loadgen, loadgen->sequence));
	store_be16(udp + 4, (uint16_t)udp_length);
	/* Pseudo-header: protocol and length, network-order words loaded in host order. */
	sum = __builtin_bswap16(IPPROTO_UDP);
	sum += __builtin_bswap16((uint16_t)udp_length);
	sum = checksum_add(sum, ip + (loadgen->ip_version == 4 ? 12 : 8), addresses);
	check = checksum_udp(checksum_add(sum, udp, udp_length));
	memcpy(udp + 6, &check, sizeof check);

	*slot = (struct loadgen_slot){now_ns, loadgen->sequence};
	loadgen->open++;
	loadgen->sequence++;
	loadgen->sent++;
	return loadgen->header_bytes + length;
}

/* ---------------------------------------------------------------------------------------------- */

void loadgen_expire(struct loadgen *loadgen, uint64_t now_ns)
{
	for (; loadgen->oldest < loadgen->sequence; loadgen->oldest++) {
		struct loadgen_slot *slot = &loadgen->slot[loadgen->oldest % LOADGEN_WINDOW];

		/* A reused slot is counted with its later request. */
		if (slot->sequence != loadgen->oldest || !slot->sent_ns)
			continue;
		if (now_ns != UINT64_MAX && now_ns - slot->sent_ns < LOADGEN_TIMEOUT_NS)
			return;
		lose(loadgen, slot);
		/* No request has this number: a reply after this is late, not a duplicate. */
		*slot = (struct loadgen_slot){0, UINT64_MAX};
	}
}
