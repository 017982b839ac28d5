// SPDX-License-Identifier: Apache-2.0
/*
 * Answers requests from the arena in a file, each in a buffer of exactly the stated size (room), so
 * that the sanitizers catch every byte read or written past its end. Lines on stdin are the room,
 * the largest UDP reply and a request in hex; lines on stdout are the replies, empty for silence.
 */
#include <stdlib.h>
#include <string.h>

#include "dns/dns.h"
#include "check.h"
#include "runtime/thread_state.h"
#include "zones.h"

static struct snapshot snap;
static struct thread_state state;

static void answer(const uint8_t *message, uint32_t length, uint32_t room)
{
	static const uint8_t source[4] = {192, 0, 2, 1};
	struct request rq = {.source = source, .ip_version = 4, .length = length, .room = room};
	struct dns_query query;
	enum verdict verdict;

	rq.payload = malloc(room);
	CHECK(rq.payload);
	memcpy(rq.payload, message, length);
	verdict = dns_read(&snap, &state, &rq, &query);
	if (verdict == VERDICT_PENDING) {
		while (dns_prefetch(&snap, &rq, &query))
			;
		verdict = dns_reply(&snap, &state, &rq, &query);
	}
	if (verdict != VERDICT_dns_short && verdict != VERDICT_dns_response) {
		CHECK(rq.length <= room);
		for (uint32_t i = 0; i < rq.length; i++)
			printf("%02x", rq.payload[i]);
	}
	putchar('\n');
	free(rq.payload);
}

int main(int argc, char **argv)
{
	static uint8_t message[4096];
	static char digits[2 * sizeof message + 1];
	unsigned room, most, byte;
	size_t size;
	struct zone_directory *directory;
	void *arena;
	FILE *file;

	CHECK(argc == 2 && (file = fopen(argv[1], "rb")));
	CHECK(!fseek(file, 0, SEEK_END));
	size = (size_t)ftell(file);
	rewind(file);
	/* Aligned as huge pages are: the table's buckets are cache lines. */
	CHECK(!posix_memalign(&arena, 64, size) && fread(arena, 1, size, file) == size);
	fclose(file);
	directory = directory_of(arena, size);
	CHECK(directory);
	snap.zones = directory;
	while (scanf("%u %u %8192s", &room, &most, digits) == 3) {
		uint32_t length = (uint32_t)strlen(digits) / 2;

		for (uint32_t i = 0; i < length; i++) {
			CHECK(sscanf(digits + 2 * i, "%2x", &byte) == 1);
			message[i] = (uint8_t)byte;
		}
		snap.dns.max_udp[0] = (uint16_t)most;
		CHECK(length <= room && room >= DNS_UDP_MIN);
		answer(message, length, room);
	}
	free(directory);
	free(arena);
	return 0;
}
