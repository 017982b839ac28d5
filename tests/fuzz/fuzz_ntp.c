// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer target for the NTP answer and ntp_finish(): any bytes, in a buffer of exactly the
 * promised room, so that ASAN catches any access out of bounds.
 *
 * An input is a byte of option bits (source port 123, room after the request), receive and transmit
 * time, 8 bytes each, and the request.
 */
#include <stdlib.h>
#include <string.h>

#include "service/answer.h"
#include "base/bytes.h"
#include "fuzz.h"
#include "runtime/snapshot.h"

#define KNOB_BYTES 17

/* Modes 2, 4 and 5 are replies, 6 and 7 control: answering them could loop forever. */
static void check_request(const uint8_t *request, uint32_t length, uint16_t port)
{
	uint8_t version = request[0] >> 3 & 7, mode = request[0] & 7;

	CHECK(length >= 48 && length % 4 == 0);
	CHECK(version >= 1 && version <= 4);
	CHECK(mode == 1 || mode == 3 || (mode == 0 && version == 1 && port != 123));
}

static void check_reply(const struct ntp_state *ntp, const uint8_t *request,
			const struct request *rq, bool interleaved)
{
	const uint8_t *reply = rq->payload;

	CHECK(rq->length == 48 || rq->length == 76);
	CHECK(reply[0] >> 6 == ntp->leap);
	CHECK((reply[0] >> 3 & 7) == (request[0] >> 3 & 7));
	CHECK((reply[0] & 7) == ((request[0] & 7) == 1 ? 2 : 4));
	CHECK(reply[1] == (ntp->stratum < 16 ? ntp->stratum : 0));
	CHECK((int8_t)reply[2] >= -19 && (int8_t)reply[2] >= (int8_t)request[2]);
	CHECK(load_be32(reply + 12) == ntp->refid);
	CHECK(!memcmp(reply + 24, request + (interleaved ? 32 : 40), 8));
	CHECK((int64_t)(load_be64(reply + 32) - (ntp_time(rq->rx_ns) | 1)) >= 0);
	CHECK((load_be64(reply + 32) & 1) == 1 && (load_be64(reply + 40) & 1) == 0);
}

/* Transmit is later than receive, in the era arithmetic that clients use. */
static void check_stamps(const uint8_t *reply)
{
	uint64_t receive = load_be64(reply + 32), transmit = load_be64(reply + 40);

	CHECK((int64_t)(transmit - receive) > 0);
	CHECK((int64_t)(receive - load_be64(reply + 16)) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t source[4] = {198, 51, 100, 1};
	static struct snapshot snap;
	static _Alignas(64) struct ntp_saved saved[64];
	static struct thread_state state;
	struct batch_clock clock = {0};
	struct tx_record record = {0};
	struct request rq = {0};
	enum verdict verdict;
	const uint8_t *request = data + KNOB_BYTES;
	uint8_t tail[4];

	if (size < KNOB_BYTES || size > 4096)
		return 0;
	snap.ntp = (struct ntp_state){.leap = data[0] & 3,
				      .stratum = data[0] >> 2 & 31,
				      .refid = 0x7f7f0101,
				      .root_delay = load_be32(data + 1),
				      .root_dispersion = load_be32(data + 5),
				      .updated_ns = (int64_t)load_be64(data + 1)};
	clock.utc_ns = load_be64(data + 1);
	clock.mono_ns = load_be64(data + 9);
	thread_state_begin_batch(&state, &snap, &clock);
	rq.length = (uint32_t)(size - KNOB_BYTES);
	rq.room = rq.length + sizeof tail;
	rq.source = source;
	rq.source_port = data[0] & 0x80 ? 123 : 40000;
	rq.ip_version = 4;
	rq.service = SERVICE_ntp;
	rq.rx_ns = load_be64(data + 1);
	rq.payload = malloc(rq.room);
	memcpy(rq.payload, request, rq.length);
	memset(rq.payload + rq.length, 0xa5, sizeof tail);
	memcpy(tail, rq.payload + rq.length, sizeof tail);

	if (!state.saved.entries)
		ntp_saved_open(&state.saved, saved, 64);
	verdict = answer(&snap, &state, &rq, &record);
	if (verdict == VERDICT_ntp_answered || verdict == VERDICT_ntp_interleaved) {
		uint32_t length = (uint32_t)(size - KNOB_BYTES);

		CHECK(rq.length <= length);
		CHECK(!memcmp(tail, rq.payload + length, sizeof tail));
		check_request(request, length, rq.source_port);
		check_reply(&snap.ntp, request, &rq, verdict == VERDICT_ntp_interleaved);
		record.payload = rq.payload;
		ntp_finish(&state, &record, ntp_time(load_be64(data + 9)));
		if (verdict == VERDICT_ntp_answered)
			check_stamps(rq.payload);
	}
	free(rq.payload);
	return 0;
}
