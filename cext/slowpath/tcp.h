/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS over TCP (RFC 7766): splits a client's stream into messages, answers each in order with the
 * function that every way in uses, and collects the answers for sending. No system calls: the
 * listener (slowpath/tcp_listener.h) passes in what it received and asks for what to send.
 *
 *   received -> tcp_input | tcp_received -> tcp_answer -> tcp_output | tcp_sent -> sent
 *                                               ^                        |
 *                                               +------- all sent -------+
 *
 * A client that does not read its answers is not read from either, so that it occupies one page of
 * input, a slot for the unsent rest of one send, and the kernel's buffers. A query longer than a
 * page takes a slot, too. Each answer is complete and from one snapshot as soon as it is made,
 * however long it takes to send.
 */
#ifndef XDPKIT_TCP_H
#define XDPKIT_TCP_H

#include "service/answer.h"
#include "runtime/clock.h"
#include "runtime/thread_state.h"
#include "runtime/stats.h"
#include "slowpath/local_address.h"
#include "slowpath/tcp_table.h"

/* The control plane reads the counters; everything else belongs to the thread. */
struct tcp {
	struct stats stats;
	uint64_t accepted;
	uint64_t queries;
	uint64_t ended[TCP_END_COUNT];
	struct thread_state *state;
	struct batch_clock clock; /* of this turn of the loop */
	struct tcp_table table;
	const struct local_address *local; /* by number; NULL: unknown */
	uint32_t filled;                   /* bytes of `output` not yet passed to the kernel */
	_Alignas(64) uint8_t output[TCP_OUTPUT];
};

struct tcp_bytes {
	const uint8_t *at;
	uint32_t length;
};

enum tcp_step {
	TCP_NEEDS_INPUT, /* the next query is incomplete */
	TCP_NEEDS_SLOT,  /* it is longer than a page: tcp_take_large(), then more input */
	TCP_OUTPUT_FULL, /* more can be answered once the output has been sent */
	TCP_CLOSES,      /* nothing more is answered: c->end says why */
};

/* Where to receive to, and how many bytes; never 0 after tcp_answer() gave TCP_NEEDS_INPUT. */
uint8_t *tcp_input(struct tcp *tcp, struct tcp_connection *c, uint32_t *room);

/* `length` bytes were received into tcp_input(). */
void tcp_received(struct tcp_connection *c, uint32_t length);

/* Answers complete queries while there is room. Only for a connection without unsent answers. */
enum tcp_step tcp_answer(struct tcp *tcp, struct tcp_connection *c, const struct snapshot *snap);

/* What to send on the connection: the answers kept for it, else those just made. */
struct tcp_bytes tcp_output(const struct tcp *tcp, const struct tcp_connection *c);

/*
 * The kernel accepted `length` of these bytes; returns whether that was all. The rest is kept with
 * the connection, which must have a slot for it: tcp_slot_victim() is NULL, or it already has
 * unsent answers.
 */
bool tcp_sent(struct tcp *tcp, struct tcp_connection *c, uint32_t length);

#endif
