// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer target for a frame's whole path through the loop: frame_parse(), answer(),
 * frame_turn(), the transmit timestamp. Frames are in a buffer of exactly the promised room, so
 * that ASAN catches any access out of bounds; replies are checked by separate, naive code.
 *
 * An input is a byte of option bits (fix the checksums first, room after the frame) and the frame.
 */
#include <stdlib.h>
#include <string.h>

#include "service/answer.h"
#include "base/bytes.h"
#include "dns/dns.h"
#include "dns_arena.h"
#include "zones.h"
#include "frame/frame.h"
#include "fuzz.h"
#include "ntp/ntp.h"
#include "ntp/stamp.h"
#include "runtime/snapshot.h"
#include "runtime/stats.h"

#define MAX_FRAME 1792

/* The server's own addresses: requests from these are never answered. */
static const uint8_t server_address[][16] = {{192, 0, 2, 1}, {0x20, 1, 0x0d, 0xb8, [15] = 1}};

/* Offset of the IP header after at most two tags; 0 if there is none. */
static uint32_t ip_offset(const uint8_t *data, uint32_t length)
{
	uint32_t at = 12;

	for (int tags = 0; at + 2 <= length; at += 4, tags++) {
		uint16_t type = load_be16(data + at);

		if (type == 0x0800 || type == 0x86dd)
			return at + 2;
		if ((type != 0x8100 && type != 0x88a8) || tags == 2)
			return 0;
	}
	return 0;
}

/* RFC 1071 word by word. */
static uint32_t naive_sum(uint32_t sum, const uint8_t *bytes, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t naive_udp_sum(const uint8_t *ip, const uint8_t *udp, uint32_t udp_length)
{
	uint32_t addresses = ip[0] >> 4 == 4 ? 8 : 32;
	uint32_t sum = naive_sum(17 + udp_length, udp - addresses, addresses);

	return naive_sum(sum, udp, udp_length);
}

/* Corrects the checksums where headers are complete: a fuzzer would not guess them. */
static void fix_checksums(uint8_t *data, uint32_t length)
{
	uint32_t at = ip_offset(data, length), udp_at, udp_length;

	if (!at || at + 20 > length)
		return;
	if (data[at] >> 4 == 4) {
		store_be16(data + at + 10, 0);
		store_be16(data + at + 10, (uint16_t)~naive_sum(0, data + at, 20));
	}
	udp_at = at + (data[at] >> 4 == 4 ? 20 : 40);
	if (udp_at + 8 > length)
		return;
	udp_length = load_be16(data + udp_at + 4);
	if (udp_length < 8 || udp_at + udp_length > length)
		return;
	store_be16(data + udp_at + 6, 0);
	store_be16(data + udp_at + 6,
		   (uint16_t)~naive_udp_sum(data + at, data + udp_at, udp_length));
}

static const struct snapshot *snapshot(void)
{
	static struct reserved_sources reserved;
	static struct snapshot snap;

	if (snap.zones)
		return &snap;
	snap.zones = directory_of(dns_arenas, sizeof dns_arenas);
	CHECK(snap.zones);
	snap.dns.max_udp[0] = snap.dns.max_udp[1] = 1232;
	snap.port[SERVICE_ntp] = 123;
	snap.port[SERVICE_dns] = 53;
	snap.port[SERVICE_echo] = 7;
	reserved_add(&reserved, server_address[0], 4);
	reserved_add(&reserved, server_address[1], 6);
	snap.reserved = &reserved;
	memcpy(snap.reserved_used, reserved.used, sizeof reserved.used);
	return &snap;
}

/* ---------------------------------------------------------------------------------------------- */

/* The source of an answered request: a single host's address, and not one of ours. */
static void check_source(const uint8_t *source, uint8_t version, uint16_t port)
{
	CHECK(port != 0);
	CHECK(memcmp(source, server_address[version == 6], version == 4 ? 4 : 16));
	CHECK(version == 6 || (source[0] != 0 && source[0] != 127 && source[0] < 224));
	CHECK(version == 4 || source[0] != 0xff);
}

/* Headers as in a fresh packet, addresses and ports swapped, lengths and checksums correct. */
static void check_reply(const uint8_t *was, const uint8_t *reply, uint32_t length)
{
	uint32_t at = ip_offset(was, length), udp_at = at + (was[at] >> 4 == 4 ? 20 : 40);
	uint32_t n = was[at] >> 4 == 4 ? 4 : 16;
	const uint8_t *ip = reply + at, *udp = reply + udp_at;
	uint32_t udp_length = length - udp_at;

	CHECK(!memcmp(reply, was + 6, 6) && !memcmp(reply + 6, was, 6));
	CHECK(!memcmp(reply + 12, was + 12, at - 12));
	if (n == 4) {
		CHECK(load_be16(ip) == 0x4500 && load_be16(ip + 2) == length - at);
		CHECK(load_be32(ip + 4) == 0x4000 && load_be16(ip + 8) == 0x4011);
		CHECK(naive_sum(0, ip, 20) == 0xffff);
	} else {
		CHECK(load_be32(ip) == 0x60000000 && load_be16(ip + 4) == udp_length);
		CHECK(load_be16(ip + 6) == 0x1140);
	}
	CHECK(!memcmp(udp - n, was + udp_at - 2 * n, n) &&
	      !memcmp(udp - 2 * n, was + udp_at - n, n));
	CHECK(!memcmp(udp, was + udp_at + 2, 2) && !memcmp(udp + 2, was + udp_at, 2));
	CHECK(load_be16(udp + 4) == udp_length && load_be16(udp + 6) != 0);
	CHECK(naive_udp_sum(ip, udp, udp_length) == 0xffff);
	check_source(udp - n, n == 4 ? 4 : 6, load_be16(udp + 2));
}

/* What each service guarantees about lengths; `asked` is the request. */
static void check_length(const struct request *rq, const struct request *asked)
{
	if (rq->service == SERVICE_ntp)
		CHECK(rq->length <= asked->length);
	if (rq->service == SERVICE_echo)
		CHECK(rq->length == asked->length);
	if (rq->service == SERVICE_dns)
		CHECK(rq->length <= 1232);
}

/* Two thread states that see the same requests, and so must remember the same. */
static struct thread_state state, twin;

/* In the loop's three steps; answer(), for the other ways in, must give the same. */
static enum verdict answer_as_the_loop(const struct snapshot *snap, struct request *rq,
				       struct tx_record *record)
{
	uint8_t copy[MAX_FRAME];
	struct request other = *rq;
	struct tx_record other_record = {0};
	union query query;
	enum verdict verdict;

	other.payload = copy;
	memcpy(copy, rq->payload, rq->length);
	verdict = answer_begin(snap, &state, rq, &query, record);
	if (verdict == VERDICT_PENDING) {
		while (answer_prefetch(snap, rq, &query))
			;
		verdict = answer_end(snap, &state, rq, &query, record);
	}
	CHECK(answer(snap, &twin, &other, &other_record) == verdict && other.length == rq->length);
	CHECK(!memcmp(copy, rq->payload, rq->length));
	return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t more[] = {0, 1, 64, MAX_FRAME};
	const struct snapshot *snap = snapshot();
	uint8_t was[MAX_FRAME], *buffer;
	struct tx_record record = {0};
	struct request rq = {0}, asked;
	struct frame frame;
	uint32_t length, room;

	if (size < 1 || size - 1 > MAX_FRAME)
		return 0;
	length = (uint32_t)size - 1;
	memcpy(was, data + 1, length);
	if (!(data[0] & 4))
		fix_checksums(was, length);
	room = length + more[data[0] & 3];
	room = room < MAX_FRAME ? room : MAX_FRAME;
	buffer = malloc(room ? room : 1);
	memcpy(buffer, was, length);

	if (frame_parse(snap, buffer, length, room, &frame, &rq) == VERDICT_PENDING) {
		CHECK(rq.payload >= buffer && rq.payload + rq.length <= buffer + length);
		CHECK(rq.payload + rq.room == buffer + room);
		rq.rx_ns = 1700000000000000000u;
		asked = rq;
		if (verdict_answers(answer_as_the_loop(snap, &rq, &record))) {
			uint32_t sent = frame_turn(&frame, &rq);

			CHECK(sent <= room);
			check_length(&rq, &asked);
			if (rq.service == SERVICE_ntp) {
				record.payload = rq.payload;
				record.sum = frame.sum;
				tx_finish(&state, &record, ntp_time(1700000000000001000u));
			}
			check_reply(was, buffer, sent);
		}
	}
	free(buffer);
	return 0;
}
