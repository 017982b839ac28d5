// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer target for zone_check(): an arena with arbitrary bytes changed, in memory of exactly
 * its size. An arena that passes must be safe: queries for everything in it, with DO and without,
 * for its names and for names below them, are answered with no access out of bounds.
 *
 * An input is a list of six-byte changes: where (32 bits, little-endian, modulo the size), a value
 * (a byte), and a byte that says how: stored, added, or added to a 32-bit offset.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "dns/dns.h"
#include "dns_arena.h"
#include "runtime/thread_state.h"
#include "zone/check.h"
#include "zones.h"

#define ROOM 65535

static void change(uint8_t *arena, size_t bytes, const uint8_t *how)
{
	uint32_t at, value;

	memcpy(&at, how, sizeof at);
	at %= bytes;
	switch (how[5] % 3) {
	case 0:
		arena[at] = how[4];
		break;
	case 1:
		arena[at] += how[4];
		break;
	default:
		at = at / 4 * 4;
		memcpy(&value, arena + at, sizeof value);
		value += (uint32_t)(int8_t)how[4];
		memcpy(arena + at, &value, sizeof value);
	}
}

/* Writes a query for a name as it is in the arena, or for one below it. */
static uint32_t write_query(uint8_t *p, const uint8_t *name, uint32_t length, const char *below,
			    bool dnssec, uint16_t type)
{
	static const uint8_t opt[] = {0, 0, 41, 0xff, 0xff, 0, 0, 0, 0, 0, 0};
	uint32_t at = 12, prefix = (uint32_t)strlen(below);

	memset(p, 0, 12);
	p[5] = 1;
	p[11] = dnssec;
	if (prefix + length > 255)
		prefix = 0;
	memcpy(p + at, below, prefix);
	memcpy(p + at + prefix, name, length);
	at += prefix + length;
	store_be16(p + at, type);
	store_be16(p + at + 2, 1);
	at += 4;
	if (dnssec) {
		memcpy(p + at, opt, sizeof opt);
		p[at + 7] = 0x80;
		at += sizeof opt;
	}
	return at;
}

static void answer(const struct snapshot *snap, uint8_t *room, const uint8_t *name, uint32_t length,
		   const char *below, bool dnssec, uint16_t type)
{
	static const uint8_t source[4] = {192, 0, 2, 1};
	static struct thread_state state;
	struct request rq = {.room = ROOM, .tcp = true, .source = source, .ip_version = 4};
	struct dns_query query;

	rq.payload = room;
	rq.length = write_query(rq.payload, name, length, below, dnssec, type);
	if (dns_read(snap, &state, &rq, &query) == VERDICT_PENDING) {
		dns_prefetch(snap, &query);
		dns_reply(snap, &rq, &query);
	}
	if (rq.length > rq.room)
		abort();
}

/* Queries every name in the table, and nonexistent ones below each. */
static void ask_all(const struct snapshot *snap, const struct zone_arena *arena, uint8_t *room)
{
	static const char *const below[] = {"", "\1q", "\1*", "\1~\3xyz"};
	static const uint16_t types[] = {1, 2, 5, 6, 15, 16, 39, 43, 46, 47, 51, 255, 65280};
	const struct zone_bucket *table = zone_table(arena);

	for (uint32_t i = 0; i < arena->buckets * ZONE_SLOTS; i++) {
		const struct zone_bucket *bucket = &table[i / ZONE_SLOTS];
		const struct zone_node *node = zone_at(arena, bucket->node[i % ZONE_SLOTS]);
		const uint8_t *name;

		if (!bucket->tag[i % ZONE_SLOTS])
			continue;
		name = (const uint8_t *)(node + 1) + node->type_count * sizeof(struct zone_type);
		for (uint32_t n = 0; n < 8; n++)
			for (uint32_t t = 0; t < sizeof types / sizeof *types; t++)
				answer(snap, room, name, node->name_length, below[n / 2], n & 1,
				       types[t]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct snapshot snap = {.dns.max_udp = {1232, 1232}};
	size_t bytes = ((const struct zone_arena *)dns_arenas)->size;
	uint8_t *arena = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	memcpy(arena, dns_arenas, bytes);
	for (size_t at = 0; at + 6 <= size; at += 6)
		change(arena, bytes, data + at);
	if (zone_check(arena, bytes) == 0) {
		struct zone_directory *directory = directory_of(arena, bytes);
		uint8_t *room = malloc(ROOM);

		snap.zones = directory;
		ask_all(&snap, (const struct zone_arena *)arena, room);
		free(directory);
		free(room);
	} else if (size < 6) {
		abort();
	}
	free(arena);
	return 0;
}
