/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is connected over TCP: a fixed number of connections in the order of their last activity, how
 * many each source has, and the answers that a client has not taken yet. No system call, no Python,
 * nothing allocated after tcp_table_open(). One thread's own.
 *
 * When all places are taken, the connection that was idle longest makes room for a new one: a
 * client that asks at once is served however many silent ones there are. No source gets more than
 * its share.
 */
#ifndef XDPKIT_TCP_TABLE_H
#define XDPKIT_TCP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A message goes behind its length, two bytes in network order: RFC 1035 section 4.2.2. */
#define TCP_PREFIX 2

/*
 * What a connection's input holds: a page, and so a query of 4094 bytes, the kernel door's largest
 * but for the prefix. Queries have some hundred bytes; a longer one ends its connection.
 */
#define TCP_INPUT     4096
#define TCP_QUERY_MAX (TCP_INPUT - TCP_PREFIX)

/* The largest answer with its prefix, and beside it room for a page of queries' usual answers. */
#define TCP_REPLY_MAX (TCP_PREFIX + 65535)
#define TCP_OUTPUT    (TCP_REPLY_MAX + 16383)

/* Why a connection ended: name and meaning, said once. */
#define TCP_ENDS(E)                                                              \
	E(client, "the client closed it")                                        \
	E(idle, "no whole query came within the idle time")                      \
	E(unread, "the client did not take its answers within the idle time")    \
	E(displaced, "it was idle or slow longest, and another needed the room") \
	E(source, "refused: its source has its share of all connections")        \
	E(framing, "a message of no bytes, or longer than a query can be")       \
	E(message, "a message that is never answered: a response, no header")    \
	E(queries, "it has asked as many queries as a connection may")           \
	E(error, "the client reset it, or the network failed")                   \
	E(stopped, "the server ended")

enum tcp_end {
	TCP_END_NONE,
#define TCP_END_ID(name, text) TCP_END_##name,
	TCP_ENDS(TCP_END_ID) TCP_END_COUNT
#undef TCP_END_ID
};

/* 0 stands for no connection and no unsent answer: both are numbered from 1. */
struct tcp_connection {
	uint64_t active_ns; /* accepted, asked, or took its answers: CLOCK_MONOTONIC */
	int fd;             /* -1: this place is free */
	uint16_t at, held;  /* its input is whole up to `held`, read up to `at` */
	uint32_t unsent;    /* the struct tcp_unsent with what its client has not taken yet */
	uint32_t queries;
	uint16_t port; /* of the client, host order */
	uint8_t ip_version;
	uint8_t end;  /* enum tcp_end: it will be closed once its answers are taken */
	bool leaving; /* our side is shut: what comes is thrown away, until the client closes */
	uint8_t source[16]; /* of the client, network order */
};

/* Answers that the kernel had no room for, with their prefixes: bytes `from` to `to`. */
struct tcp_unsent {
	uint32_t from, to;
	uint32_t connection;
	uint8_t bytes[TCP_OUTPUT];
};

/* An IPv4 address, or an IPv6 /64, for a host may use all of it (RFC 7934); unused: 0 connections.
 */
struct tcp_source {
	uint64_t prefix;
	uint32_t connections;
	uint8_t ip_version;
};

struct tcp_limits {
	uint32_t connections;
	uint32_t per_source;
	uint32_t unsent;  /* connections that may have such answers */
	uint32_t queries; /* of one connection; 0: any number */
	uint64_t idle_ns;
};

/* A place in a list; lists go through arrays, and their ends are entries of these. */
struct tcp_link {
	uint32_t previous, next;
};

struct tcp_table {
	struct tcp_limits limits;
	uint32_t used;
	uint32_t source_bits; /* log2 of the number of sources: more than twice the connections */
	uint64_t seed[2];     /* of the sources' hash, a secret */
	struct tcp_connection *connection;
	struct tcp_link *order; /* from 0: those in use, idlest first; from connections + 1: free */
	struct tcp_unsent *unsent;
	struct tcp_link
		*unsent_order; /* from 0: those in use, oldest first; from unsent + 1: free */
	struct tcp_source *source;
	uint8_t (*input)[TCP_INPUT];
};

/* Bytes that a table with these limits needs. */
size_t tcp_table_bytes(const struct tcp_limits *limits);

/* Empty; `memory` has so many bytes, all 0, aligned to a page, and belongs to the table. */
void tcp_table_open(struct tcp_table *table, const struct tcp_limits *limits, void *memory,
		    const uint64_t seed[2]);

/* Whether a source, 4 or 16 bytes in network order, has as many connections as it may. */
bool tcp_share_taken(const struct tcp_table *table, const uint8_t *source, uint8_t ip_version);

/* A new connection, active now, or NULL: no place is free. */
struct tcp_connection *tcp_admit(struct tcp_table *table, int fd, const uint8_t *source,
				 uint8_t ip_version, uint16_t port, uint64_t now_ns);

/* It is active now. */
void tcp_touch(struct tcp_table *table, struct tcp_connection *c, uint64_t now_ns);

/* The connection that was idle longest, or NULL: there is none. */
struct tcp_connection *tcp_idlest(const struct tcp_table *table);

/* The one with the oldest unsent answers, if it must go before more can be kept; else NULL. */
struct tcp_connection *tcp_in_the_way(const struct tcp_table *table);

/* Takes it out; returns its descriptor, which the caller closes. */
int tcp_release(struct tcp_table *table, struct tcp_connection *c);

/* Keeps bytes with a connection that has none unsent; tcp_in_the_way() must be NULL. */
void tcp_keep(struct tcp_table *table, struct tcp_connection *c, const uint8_t *bytes,
	      uint32_t length);

/* The client has taken its unsent answers. */
void tcp_taken(struct tcp_table *table, struct tcp_connection *c);

/* How long a connection may be idle now: a quarter of the time where over three of four are used.
 */
static inline uint64_t tcp_patience_ns(const struct tcp_table *table)
{
	const struct tcp_limits *limits = &table->limits;

	return table->used * 4 > limits->connections * 3 ? limits->idle_ns / 4 : limits->idle_ns;
}

static inline uint32_t tcp_index(const struct tcp_table *table, const struct tcp_connection *c)
{
	return (uint32_t)(c - table->connection);
}

#endif
