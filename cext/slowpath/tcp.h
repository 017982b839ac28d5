/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS over TCP (RFC 7766): what comes from the clients is cut into messages, each answered in order
 * by the function of every other door, and the answers put together for sending. No system call:
 * the door (slowpath/tcp_listener.h) hands in what it received and asks what to send.
 *
 *   received -> tcp_input | tcp_received -> tcp_answer -> tcp_output | tcp_sent -> sent
 *                                               ^                        |
 *                                               +--- all of it taken ----+
 *
 * A client that does not take its answers is not listened to, so that it owns one page of input,
 * what is left of one sending, and what the kernel's buffers hold. Each answer is whole and of one
 * snapshot from the moment it is made, however long its sending takes.
 */
#ifndef XDPKIT_TCP_H
#define XDPKIT_TCP_H

#include "service/answer.h"
#include "runtime/clock.h"
#include "runtime/thread_state.h"
#include "runtime/stats.h"
#include "slowpath/tcp_table.h"

/* The control plane reads the counts; the rest is the thread's. */
struct tcp {
	struct stats stats;
	uint64_t accepted;
	uint64_t queries;
	uint64_t ended[TCP_END_COUNT];
	struct thread_state *state;
	struct batch_clock clock; /* of this turn */
	struct tcp_table table;
	uint32_t filled; /* bytes of `output` that were not handed to the kernel yet */
	_Alignas(64) uint8_t output[TCP_OUTPUT];
};

struct tcp_bytes {
	const uint8_t *at;
	uint32_t length;
};

enum tcp_step {
	TCP_WAITS, /* for what is still to come of a query */
	TCP_FULL,  /* more can be answered once the output was sent */
	TCP_LEAVES /* no more is answered: c->end says why */
};

/* Where what comes next goes, and that many bytes; never 0 when tcp_answer() said TCP_WAITS. */
uint8_t *tcp_input(struct tcp *tcp, struct tcp_connection *c, uint32_t *room);

/* So many bytes have come. */
void tcp_received(struct tcp_connection *c, uint32_t length);

/* Answers what is whole, as far as there is room. Only for a connection without unsent answers. */
enum tcp_step tcp_answer(struct tcp *tcp, struct tcp_connection *c, const struct snapshot *snap);

/* What the connection's client is to get: what was kept for it, else what was just answered. */
struct tcp_bytes tcp_output(const struct tcp *tcp, const struct tcp_connection *c);

/*
 * The kernel took so many of them; returns whether that was all. What is left is kept with the
 * connection, for which there must be room: tcp_in_the_way() is NULL, or it has unsent answers.
 */
bool tcp_sent(struct tcp *tcp, struct tcp_connection *c, uint32_t length);

#endif
