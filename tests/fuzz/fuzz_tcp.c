// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer target for DNS over TCP (slowpath/tcp.c, slowpath/tcp_table.c): several clients whose
 * bytes arrive in chunks of any size and whose kernels take answers in pieces of any size; they may
 * be displaced, idle, or gone. Each gets exactly the answers that its messages would get one by
 * one, in order, up to where its connection ended.
 *
 * The first byte of an input sets the query limit and the sources' hash. Then come actions: a byte
 * with the action (bits 6 and 7) and the client (bits 0 to 2), a byte with the amount, and the
 * data that the action needs.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "dns_arena.h"
#include "zones.h"
#include "fuzz.h"
#include "slowpath/tcp.h"

#define CLIENTS 8
#define IDLE_NS 1000u

/* What one client has sent and received. */
struct client {
	struct tcp_connection *c; /* NULL: not connected */
	uint32_t budget;          /* bytes that its kernel would take now */
	uint32_t sent, got;
	uint8_t stream[16384];
	uint8_t answers[1 << 19];
};

/* Two IPv4 sources; for IPv6, a /64 with several addresses, and another /64. */
static const struct {
	uint8_t ip_version, address[16];
} sources[CLIENTS] = {
	{4, {192, 0, 2, 1}},
	{4, {192, 0, 2, 1}},
	{4, {192, 0, 2, 1}},
	{4, {192, 0, 2, 2}},
	{6, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 1}},
	{6, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 2}},
	{6, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 3}},
	{6, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 2, 1}},
};

static const struct tcp_limits limits = {
	.connections = 5, .per_source = 2, .slots = 2, .idle_ns = IDLE_NS};

static struct client clients[CLIENTS];
static struct tcp tcp;
static _Alignas(64) uint8_t tables[300000];
static struct snapshot snap;
static struct thread_state state;

/* Answers the client's messages one by one; what it received must be a prefix of that. */
static void check_answers(const struct client *client, uint32_t queries, bool all)
{
	static uint8_t room[TCP_REPLY_MAX];
	uint32_t at = 0, got = 0, answered = 0, length;

	while (client->sent - at >= 2 && (!queries || answered < queries)) {
		struct tx_record tx_record;
		struct request rq = {.payload = room + 2, .room = 65535, .source_port = 1};

		length = load_be16(client->stream + at);
		if (!length || client->sent - at - 2 < length)
			break;
		rq.length = length;
		rq.source = sources[client - clients].address;
		rq.ip_version = sources[client - clients].ip_version;
		rq.service = SERVICE_dns;
		rq.tcp = true;
		memcpy(rq.payload, client->stream + at + 2, length);
		if (!verdict_answers(answer(&snap, &state, &rq, &tx_record)))
			break;
		store_be16(room, (uint16_t)rq.length);
		length = rq.length + 2;
		if (length > client->got - got) {
			CHECK(!all);
			length = client->got - got;
		}
		CHECK(!memcmp(room, client->answers + got, length));
		got += length;
		answered++;
		at += 2u + load_be16(client->stream + at);
	}
	CHECK(got == client->got);
}

static struct client *client_of(const struct tcp_connection *c)
{
	return &clients[c->fd];
}

static void end_connection(struct tcp_connection *c)
{
	struct client *client = client_of(c);

	check_answers(client, tcp.table.limits.queries, false);
	CHECK(tcp_release(&tcp.table, c) == client - clients);
	client->c = NULL;
}

/* The next five functions do what the TCP listener does, with a simulated kernel. */

static void free_a_slot(const struct client *client)
{
	struct tcp_connection *victim = tcp_slot_victim(&tcp.table);

	CHECK(victim != client->c);
	if (victim)
		end_connection(victim);
}

static bool deliver(struct client *client)
{
	struct tcp_bytes out = tcp_output(&tcp, client->c);
	uint32_t n = out.length < client->budget ? out.length : client->budget;

	if (!out.length)
		return true;
	memcpy(client->answers + client->got, out.at, n);
	client->got += n;
	client->budget -= n;
	if (n < out.length && !client->c->unsent)
		free_a_slot(client);
	return tcp_sent(&tcp, client->c, n);
}

static void converse(struct client *client)
{
	enum tcp_step step = TCP_OUTPUT_FULL;

	while (step == TCP_OUTPUT_FULL) {
		step = tcp_answer(&tcp, client->c, &snap);
		if (!deliver(client))
			return;
	}
	CHECK(tcp.filled == 0);
	check_answers(client, tcp.table.limits.queries, true);
	if (step == TCP_NEEDS_SLOT) {
		free_a_slot(client);
		tcp_take_large(&tcp.table, client->c);
	}
	if (step == TCP_CLOSES)
		client->c->half_closed = true;
}

static uint32_t receive(struct client *client, const uint8_t *data, uint32_t size)
{
	uint32_t room;
	uint8_t *at;

	if (client->c->unsent || client->c->half_closed)
		return 0;
	at = tcp_input(&tcp, client->c, &room);
	CHECK(room > 0);
	size = size < room ? size : room;
	memcpy(at, data, size);
	memcpy(client->stream + client->sent, data, size);
	client->sent += size;
	tcp_received(client->c, size);
	converse(client);
	return size;
}

static void connect_client(struct client *client)
{
	const uint8_t *address = sources[client - clients].address;
	uint8_t ip_version = sources[client - clients].ip_version;
	uint32_t same = 0;

	for (int i = 0; i < CLIENTS; i++)
		same += clients[i].c && clients[i].c->ip_version == ip_version &&
			!memcmp(clients[i].c->source, address, ip_version == 4 ? 4 : 8);
	CHECK(tcp_source_is_full(&tcp.table, address, ip_version) == (same >= limits.per_source));
	if (same >= limits.per_source)
		return;
	if (tcp.table.used == limits.connections)
		end_connection(tcp_longest_idle(&tcp.table));
	client->sent = client->got = client->budget = 0;
	client->c = tcp_admit(&tcp.table, (int)(client - clients), address, ip_version, 1,
			      tcp.clock.mono_ns);
	CHECK(client->c);
}

/* The lists contain what they should, in order. */
static void check_table(const struct tcp_table *table)
{
	uint32_t connected = 0, listed = 0, slots = 0, slots_listed = 0;
	uint64_t before = 0;

	for (int i = 0; i < CLIENTS; i++) {
		connected += clients[i].c != NULL;
		slots += clients[i].c && clients[i].c->unsent;
		slots += clients[i].c && clients[i].c->large;
	}
	for (uint32_t i = table->order[0].next; i; i = table->order[i].next, listed++) {
		const struct tcp_connection *c = &table->connection[i];

		CHECK(client_of(c)->c == c && c->active_ns >= before);
		before = c->active_ns;
	}
	for (uint32_t i = table->slot_order[0].next; i;
	     i = table->slot_order[i].next, slots_listed++)
		CHECK(table->connection[table->slot[i].connection].unsent == i ||
		      table->connection[table->slot[i].connection].large == i);
	CHECK(connected == table->used && listed == connected && slots_listed == slots);
}

static void act(const uint8_t **data, size_t *size)
{
	struct client *client = &clients[**data & 7];
	uint32_t kind = **data >> 6, amount = (*data)[1];

	*data += 2;
	*size -= 2;
	if (!client->c) {
		connect_client(client);
	} else if (kind < 2) {
		uint32_t n = kind ? amount * 8 : amount;

		n = receive(client, *data, n < *size ? n : (uint32_t)*size);
		*data += n;
		*size -= n;
	} else if (kind == 2) {
		client->budget += amount << (amount % 8);
		if (client->c->unsent && deliver(client))
			converse(client);
	} else if (amount) {
		const struct tcp_connection *c;

		tcp.clock.mono_ns += amount;
		while ((c = tcp_longest_idle(&tcp.table)) &&
		       c->active_ns + tcp_idle_limit_ns(&tcp.table) <= tcp.clock.mono_ns)
			end_connection(tcp_longest_idle(&tcp.table));
	} else {
		end_connection(client->c);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tcp_limits fuzz_limits = limits;

	if (!size || size > sizeof clients[0].stream)
		return 0;
	if (!snap.zones)
		snap.zones = directory_of(dns_arenas, sizeof dns_arenas);
	CHECK(snap.zones);
	snap.dns.max_udp[0] = snap.dns.max_udp[1] = 1232;
	fuzz_limits.queries = data[0] & 7;
	CHECK(tcp_table_bytes(&fuzz_limits) <= sizeof tables);
	memset(tables, 0, sizeof tables);
	tcp = (struct tcp){.state = &state};
	tcp_table_open(&tcp.table, &fuzz_limits, tables,
		       (const uint64_t[2]){data[0] >> 3, data[0] & 24});
	for (int i = 0; i < CLIENTS; i++)
		clients[i].c = NULL;

	for (data++, size--; size >= 2;) {
		act(&data, &size);
		check_table(&tcp.table);
	}
	while (tcp.table.used)
		end_connection(tcp_longest_idle(&tcp.table));
	check_table(&tcp.table);
	return 0;
}
