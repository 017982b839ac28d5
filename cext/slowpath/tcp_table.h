/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TCP connection table: a fixed number of connections in order of last activity, the number per
 * source, and slots for what does not fit a connection's page: answers that a client has not read
 * yet, and queries that are longer. No system calls, no Python, no allocation after
 * tcp_table_open(). Belongs to one thread.
 *
 * When all slots are in use, the connection idle longest makes room for a new one, so that a client
 * that queries immediately is served however many silent ones there are. No source gets more than
 * its share.
 */
#ifndef XDPKIT_TCP_TABLE_H
#define XDPKIT_TCP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length before each message, two bytes in network order: RFC 1035 section 4.2.2. */
#define TCP_PREFIX 2

/* Size of a connection's input: one page. Queries have about a hundred bytes; a longer one takes a
 * slot. */
#define TCP_INPUT 4096

/* The longest query: as long as its prefix can say. */
#define TCP_QUERY_MAX 65535

/* The largest answer with its prefix, plus room for the usual answers to a page of queries. */
#define TCP_REPLY_MAX (TCP_PREFIX + 65535)
#define TCP_OUTPUT    (TCP_REPLY_MAX + 16383)

/* Why a connection was closed: name and meaning. */
#define TCP_ENDS(E)                                                                     \
	E(client, "the client closed it")                                               \
	E(idle, "no complete query arrived within the idle time")                       \
	E(unread, "the client did not read its answers within the idle time")           \
	E(displaced, "it was idle or slow longest, and another connection needed room") \
	E(source, "refused: its source already has its share of all connections")       \
	E(framing, "an empty message")                                                  \
	E(message, "a message that is never answered: a response, or no full header")   \
	E(denied, "refused when it was accepted: no answer may go to its source")       \
	E(queries, "it reached the limit of queries per connection")                    \
	E(error, "the client reset it, or the network failed")                          \
	E(stopped, "the server shut down")

enum tcp_end {
	TCP_END_NONE,
#define TCP_END_ID(name, text) TCP_END_##name,
	TCP_ENDS(TCP_END_ID) TCP_END_COUNT
#undef TCP_END_ID
};

/* Connections and slots are numbered from 1; 0 means none. */
struct tcp_connection {
	uint64_t active_ns; /* last accept, query, or completed send: CLOCK_MONOTONIC */
	int fd;             /* -1: this slot is free */
	uint32_t at, held;  /* input: received up to `held`, consumed up to `at` */
	uint32_t unsent;    /* the slot of its unsent answers; 0: none */
	uint32_t large;     /* the slot of its input, a query longer than a page; 0: none */
	uint32_t queries;
	uint32_t received, answered; /* bytes of both streams: of answered queries, of answers */
	uint16_t local;              /* number of the listening socket's address */
	uint16_t port;               /* of the client, host order */
	uint8_t ip_version;
	uint8_t end;        /* enum tcp_end: it closes once its answers are sent */
	bool half_closed;   /* our side is shut down: input is discarded until the client closes */
	uint8_t source[16]; /* of the client, network order */
};

/*
 * Answers the kernel had no room for, with their prefixes: bytes `from` to `to`; or the beginning
 * of a query with its prefix.
 */
struct tcp_slot {
	uint32_t from, to;
	uint32_t connection;
	uint8_t bytes[TCP_OUTPUT];
};

/* An IPv4 address or an IPv6 /64, all of which a host may use (RFC 7934); 0 connections: free. */
struct tcp_source {
	uint64_t prefix;
	uint32_t connections;
	uint8_t ip_version;
};

struct tcp_limits {
	uint32_t connections;
	uint32_t per_source;
	uint32_t
		slots; /* connections that may have unsent answers, or a query longer than a page */
	uint32_t queries; /* per connection; 0: unlimited */
	uint64_t idle_ns;
};

/* An entry of a list; lists live in arrays, and their heads are entries too. */
struct tcp_link {
	uint32_t previous, next;
};

struct tcp_table {
	struct tcp_limits limits;
	uint32_t used;
	uint32_t source_bits; /* log2 of the source slots: more than twice the connections */
	uint64_t seed[2];     /* of the source hash; secret */
	struct tcp_connection *connection;
	struct tcp_link *order; /* at 0: in use, idle longest first; at connections + 1: free */
	struct tcp_slot *slot;
	struct tcp_link *slot_order; /* at 0: in use, oldest first; at slots + 1: free */
	struct tcp_source *source;
	uint8_t (*input)[TCP_INPUT];
};

/* Bytes of memory needed for a table with these limits. */
size_t tcp_table_bytes(const struct tcp_limits *limits);

/* Opens an empty table; owns `memory`: that many zeroed bytes, page-aligned. */
void tcp_table_open(struct tcp_table *table, const struct tcp_limits *limits, void *memory,
		    const uint64_t seed[2]);

/* Whether a source, 4 or 16 bytes in network order, is at its connection limit. */
bool tcp_source_is_full(const struct tcp_table *table, const uint8_t *source, uint8_t ip_version);

/* Adds a connection, active now; NULL: no slot is free. */
struct tcp_connection *tcp_admit(struct tcp_table *table, int fd, const uint8_t *source,
				 uint8_t ip_version, uint16_t port, uint64_t now_ns);

/* Marks a connection as active now. */
void tcp_touch(struct tcp_table *table, struct tcp_connection *c, uint64_t now_ns);

/* The connection idle longest; NULL: there is none. */
struct tcp_connection *tcp_longest_idle(const struct tcp_table *table);

/* The connection whose slot is the oldest if all are in use, else NULL. */
struct tcp_connection *tcp_slot_victim(const struct tcp_table *table);

/* Removes a connection; returns its descriptor, which the caller closes. */
int tcp_release(struct tcp_table *table, struct tcp_connection *c);

/* Keeps unsent bytes for a connection that has none yet; tcp_slot_victim() must be NULL. */
void tcp_keep_unsent(struct tcp_table *table, struct tcp_connection *c, const uint8_t *bytes,
		     uint32_t length);

/* Moves the input of a connection that has no slot yet into one; tcp_slot_victim() must be NULL. */
void tcp_take_large(struct tcp_table *table, struct tcp_connection *c);

/* Frees the slot of a query longer than a page: it has been answered. */
void tcp_free_large(struct tcp_table *table, struct tcp_connection *c);

/* Frees the slot of unsent answers: the kernel has taken them all. */
void tcp_free_unsent(struct tcp_table *table, struct tcp_connection *c);

/* The current idle limit: a quarter of the configured one while over 3/4 of the slots are used. */
static inline uint64_t tcp_idle_limit_ns(const struct tcp_table *table)
{
	const struct tcp_limits *limits = &table->limits;

	return table->used * 4 > limits->connections * 3 ? limits->idle_ns / 4 : limits->idle_ns;
}

static inline uint32_t tcp_index(const struct tcp_table *table, const struct tcp_connection *c)
{
	return (uint32_t)(c - table->connection);
}

#endif
