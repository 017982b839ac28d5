// SPDX-License-Identifier: Apache-2.0
#include "loadgen/clients.h"

#include <stddef.h>

#include "base/bytes.h"
#include "ntp/ntp.h"

static struct loadgen_client *client_of(struct loadgen_clients *clients, uint64_t sequence)
{
	return &clients->client[clients->requester[sequence % LOADGEN_WINDOW]];
}

void loadgen_clients_open(struct loadgen_clients *clients, uint32_t count)
{
	clients->count = clients->end = count;
	for (uint32_t i = 0; i < count; i++)
		clients->ready[i] = (uint16_t)i;
}

void loadgen_clients_ask(struct loadgen_clients *clients, uint64_t sequence, uint64_t mark,
			 uint8_t *payload)
{
	struct loadgen_client *client;

	clients->requester[sequence % LOADGEN_WINDOW] =
		clients->ready[clients->next++ % LOADGEN_WINDOW];
	client = client_of(clients, sequence);
	if (!client->receive)
		return;
	store_be64(payload + offsetof(struct ntp_header, origin), client->receive);
	store_be64(payload + offsetof(struct ntp_header, receive), ~mark);
}

void loadgen_clients_release(struct loadgen_clients *clients, uint64_t sequence)
{
	clients->ready[clients->end++ % LOADGEN_WINDOW] =
		clients->requester[sequence % LOADGEN_WINDOW];
}

/* The difference of two timestamps in nanoseconds, capped at one second. */
static uint64_t elapsed_ns(uint64_t from, uint64_t to)
{
	return to - from <= UINT32_MAX ? (to - from) * 1000000000u >> 32 : 1000000000u;
}

/* Checks the transmit time that the server now reports for the client's previous reply. */
static bool transmit_time_is_right(struct loadgen_clients *clients,
				   const struct loadgen_client *client, uint64_t reported)
{
	/* Signed differences: the era wraps in 2036. */
	if (!client->receive || (int64_t)(reported - client->receive) < 0 ||
	    (int64_t)(client->arrived - reported) < 0)
		return false;
	if (client->transmit) {
		clients->same += reported == client->transmit;
		clients->later += (int64_t)(reported - client->transmit) > 0;
		clients->earlier += (int64_t)(reported - client->transmit) < 0;
	}
	loadgen_times_add(&clients->underway, elapsed_ns(reported, client->arrived));
	return true;
}

bool loadgen_clients_reply(struct loadgen_clients *clients, uint64_t sequence, uint64_t mark,
			   const uint8_t *payload, uint64_t arrived_ns)
{
	uint64_t origin = load_be64(payload + offsetof(struct ntp_header, origin));
	uint64_t receive = load_be64(payload + offsetof(struct ntp_header, receive));
	uint64_t transmit = load_be64(payload + offsetof(struct ntp_header, transmit));
	struct loadgen_client *client = client_of(clients, sequence);

	if (loadgen_clients_is_interleaved(origin, mark)) {
		if (!transmit_time_is_right(clients, client, transmit))
			return false;
		clients->interleaved++;
		transmit = 0;
	} else {
		clients->basic++;
	}
	*client = (struct loadgen_client){receive, transmit, ntp_time(arrived_ns)};
	return true;
}
