// SPDX-License-Identifier: Apache-2.0
#include "capture/pcapng.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <netinet/in.h>

#include "base/bytes.h"
#include "capture/capture.h"

#define ENHANCED_PACKET 6

/* Options of an Enhanced Packet Block. */
#define OPTION_END     0
#define OPTION_COMMENT 1
#define OPTION_FLAGS   2
#define OPTION_QUEUE   6

/* Bits 0 and 1 of epb_flags. */
#define INBOUND  1
#define OUTBOUND 2

#define HEADERS_MAX 60

/* What replies have: cext/frame/frame.c. */
#define HOP_LIMIT 64
/* An IP packet has at most 65535 bytes: a longer message is several. */
#define SEGMENT_MAX 32768

static const char *const verdict_names[] = {"pending",
#define PCAPNG_VERDICT(name, class, text) #name,
					    XDPKIT_VERDICTS(PCAPNG_VERDICT)};

/* One block. */
struct packet {
	uint64_t ns;
	uint32_t direction;
	const uint8_t *headers, *data;
	uint32_t headers_length, length;
	uint32_t interface, queue;
	const char *comment;
};

static uint8_t *put(uint8_t *out, const void *bytes, uint32_t length)
{
	if (length)
		memcpy(out, bytes, length);
	return out + length;
}

/* To a multiple of four. */
static uint8_t *put_padding(uint8_t *out, uint32_t length)
{
	static const uint8_t zeros[4];

	return put(out, zeros, -length & 3);
}

static uint8_t *put_u32(uint8_t *out, uint32_t value)
{
	store_u32(out, value);
	return out + 4;
}

static uint8_t *put_option(uint8_t *out, uint16_t code, const void *value, uint16_t length)
{
	store_u16(out, code);
	store_u16(out + 2, length);
	return put_padding(put(out + 4, value, length), length);
}

static uint8_t *put_packet(uint8_t *out, const struct packet *packet)
{
	uint32_t length = packet->headers_length + packet->length;
	uint8_t *start = out;

	out = put_u32(out, ENHANCED_PACKET) + 4;
	out = put_u32(out, packet->interface);
	out = put_u32(out, (uint32_t)(packet->ns >> 32));
	out = put_u32(out, (uint32_t)packet->ns);
	out = put_u32(put_u32(out, length), length);
	out = put(out, packet->headers, packet->headers_length);
	out = put_padding(put(out, packet->data, packet->length), length);
	out = put_option(out, OPTION_FLAGS, &packet->direction, 4);
	if (packet->queue < STEER_QUEUES)
		out = put_option(out, OPTION_QUEUE, &packet->queue, 4);
	out = put_option(out, OPTION_COMMENT, packet->comment, (uint16_t)strlen(packet->comment));
	out = put_u32(out, OPTION_END);
	store_u32(start + 4, (uint32_t)(out + 4 - start));
	return put_u32(out, (uint32_t)(out + 4 - start));
}

/* ---------------------------------------------------------------------------------------------- */

/* RFC 1071: the sum of 16-bit words in network order, the last one padded with zero. */
static uint32_t sum_words(uint32_t sum, const uint8_t *bytes, uint32_t length)
{
	for (uint32_t i = 0; i + 1 < length; i += 2)
		sum += load_be16(bytes + i);
	if (length & 1)
		sum += (uint32_t)bytes[length - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t put_ip(uint8_t *out, const struct capture_record *record, bool reply,
		       uint8_t protocol, uint32_t length)
{
	const uint8_t *from = reply ? record->local : record->source;
	const uint8_t *to = reply ? record->source : record->local;

	memset(out, 0, 40);
	if (record->ip_version != 4) {
		out[0] = 0x60;
		store_be16(out + 4, (uint16_t)length);
		out[6] = protocol;
		out[7] = HOP_LIMIT;
		memcpy(out + 8, from, 16);
		memcpy(out + 24, to, 16);
		return 40;
	}
	out[0] = 0x45;
	store_be16(out + 2, (uint16_t)(20 + length));
	out[6] = 0x40; /* DF */
	out[8] = HOP_LIMIT;
	out[9] = protocol;
	memcpy(out + 12, from, 4);
	memcpy(out + 16, to, 4);
	store_be16(out + 10, (uint16_t)~sum_words(0, out, 20));
	return 20;
}

/* The checksum of the transport header at `at`, and of the data after it. */
static uint16_t transport_checksum(const uint8_t *ip, uint32_t at, uint32_t headers,
				   uint8_t protocol, const uint8_t *data, uint32_t length)
{
	uint32_t sum = protocol + headers - at + length;
	uint16_t check;

	sum = at == 20 ? sum_words(sum, ip + 12, 8) : sum_words(sum, ip + 8, 32);
	sum = sum_words(sum, ip + at, headers - at);
	check = (uint16_t)~sum_words(sum, data, length);
	return check ? check : 0xffff;
}

/* IP and UDP or TCP headers of a segment; `offset` is its place in the message. */
static uint32_t put_headers(uint8_t *out, const struct capture_record *record, bool reply,
			    const uint8_t *data, uint32_t length, uint32_t offset)
{
	bool tcp = record->kind == CAPTURE_TCP;
	uint8_t protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;
	uint32_t own = tcp ? 20 : 8;
	uint32_t at = put_ip(out, record, reply, protocol, own + length);
	uint8_t *head = out + at;

	memset(head, 0, own);
	store_be16(head, reply ? record->local_port : record->port);
	store_be16(head + 2, reply ? record->port : record->local_port);
	if (tcp) {
		uint32_t seq = reply ? record->tx_at : record->rx_at;
		uint32_t ack = reply ? record->rx_at + record->request : record->tx_at;

		store_be32(head + 4, 1 + seq + offset);
		store_be32(head + 8, 1 + ack);
		head[12] = 5 << 4;
		head[13] = 0x18; /* PSH, ACK */
		store_be16(head + 14, UINT16_MAX);
	} else {
		store_be16(head + 4, (uint16_t)(own + length));
	}
	store_be16(head + (tcp ? 16 : 6),
		   transport_checksum(out, at, at + own, protocol, data, length));
	return at + own;
}

static uint8_t *put_direction(uint8_t *out, const struct capture_record *record,
			      const struct pcapng_interface *interface, bool reply,
			      const char *comment)
{
	const uint8_t *data = (const uint8_t *)(record + 1) + (reply ? record->request : 0);
	uint32_t length = reply ? record->reply : record->request, offset = 0;
	uint8_t headers[HEADERS_MAX];
	struct packet packet = {
		.ns = reply ? record->tx_ns : record->rx_ns,
		.direction = reply ? OUTBOUND : INBOUND,
		.headers = headers,
		.interface = interface->id,
		.queue = record->thread,
		.comment = comment,
	};

	do {
		packet.data = data + offset;
		packet.length = length - offset;
		if (record->kind != CAPTURE_FRAME) {
			packet.length = packet.length < SEGMENT_MAX ? packet.length : SEGMENT_MAX;
			packet.headers_length = put_headers(headers, record, reply, packet.data,
							    packet.length, offset);
		}
		out = put_packet(out, &packet);
		offset += packet.length;
	} while (offset < length);
	return out;
}

size_t pcapng_record(uint8_t *out, const struct capture_record *record,
		     const struct pcapng_interface *interface)
{
	const char *verdict =
		record->verdict < VERDICT_COUNT ? verdict_names[record->verdict] : "unknown";
	char comment[160], where[40];
	uint8_t *to = out;

	if (record->thread < STEER_QUEUES)
		snprintf(where, sizeof where, "queue %u, ", record->thread);
	else
		where[0] = 0;
	snprintf(comment, sizeof comment, "%s%s, %sthread %s",
		 record->reply ? "" : "dropped: ", verdict, where, interface->name);
	to = put_direction(to, record, interface, false, comment);
	if (record->reply) {
		snprintf(comment, sizeof comment,
			 "%s, %sthread %s, %" PRId64 " ns after the request", verdict, where,
			 interface->name, (int64_t)(record->tx_ns - record->rx_ns));
		to = put_direction(to, record, interface, true, comment);
	}
	return (size_t)(to - out);
}
