/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TCP door: what one thread needs beside the conversation itself (slowpath/tcp.h) to hold it
 * over kernel sockets, one listening for each address: how connections begin and end. Nothing here
 * waits but tcp_listener_wait().
 */
#ifndef XDPKIT_TCP_DOOR_H
#define XDPKIT_TCP_DOOR_H

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/qsbr.h"
#include "slowpath/tcp.h"
#include "runtime/thread.h"
#include "xdp/worker.h"

/* Connections served a turn, and accepted a turn: between two of them the thread announces that it
 * holds no old snapshot. */
#define TCP_LISTENER_EVENTS 64

/*
 * So long a connection is not displaced after its last activity: a query follows its connection,
 * and the next query its answer, within a round trip of most clients'. New ones wait in the kernel.
 * So long, too, none is accepted when there is no descriptor or memory for it.
 */
#define TCP_LISTENER_GRACE_NS 100000000ull

/* Tags of what is not a connection; those have their number, from 1, above TCP_LISTENER_LISTENERS.
 */
#define TCP_LISTENER_WAKE      0
#define TCP_LISTENER_LISTENERS 1

struct tcp_listener {
	struct tcp tcp;
	struct qsbr *qsbr;
	struct qsbr_reader *reader;
	struct thread thread;
	int epoll_fd;       /* of connections, the wake-up, and the listening sockets' epoll */
	int listen_fd;      /* of those: one change of interest holds off all of them */
	bool accepting;     /* that interest */
	uint64_t pauses;    /* times that there was no descriptor or memory to accept with */
	uint64_t paused_ns; /* CLOCK_MONOTONIC until which none are accepted for that */
	struct epoll_event event[TCP_LISTENER_EVENTS];
};

static inline int tcp_listener_watch(int epoll_fd, int op, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event event = {.events = events, .data.u64 = tag};

	return epoll_ctl(epoll_fd, op, fd, &event);
}

/* Fills `event` with what is ready, and returns how many; waits `ms` for the first. */
static inline int tcp_listener_wait(struct tcp_listener *d, int ms)
{
	int n = epoll_wait(d->epoll_fd, d->event, TCP_LISTENER_EVENTS, ms);

	return n > 0 ? n : 0;
}

/* The connection of an event, or NULL: it is not one's, or of one that has ended meanwhile. */
static inline struct tcp_connection *tcp_listener_connection(struct tcp_listener *d, uint64_t tag)
{
	struct tcp_connection *c;

	if (tag <= TCP_LISTENER_LISTENERS)
		return NULL;
	c = &d->tcp.table.connection[tag - TCP_LISTENER_LISTENERS];
	return c->fd >= 0 ? c : NULL;
}

/* To be told of input (EPOLLIN) or of room for output (EPOLLOUT): never of both. */
static inline void tcp_listener_watch_for(struct tcp_listener *d, struct tcp_connection *c,
					  uint32_t events)
{
	tcp_listener_watch(d->epoll_fd, EPOLL_CTL_MOD, c->fd, events,
			   TCP_LISTENER_LISTENERS + tcp_index(&d->tcp.table, c));
}

/* What a call on a connection's socket says when there is nothing to do now. */
static inline bool tcp_listener_later(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* Milliseconds until time has something to do, WORKER_WAIT_MS at most. */
int tcp_listener_sleep_ms(const struct tcp_listener *d);

/* Takes new connections in, as many as a turn may; those of a source with its share are refused. */
void tcp_listener_accept(struct tcp_listener *d);

/* Closes a connection; with a reset where an answer is cut short, or where it is displaced. */
void tcp_listener_end(struct tcp_listener *d, struct tcp_connection *c, enum tcp_end why);

/* Ends what was idle too long; begins or ceases to listen, as there is room. */
void tcp_listener_tick(struct tcp_listener *d);

/* Closes all of them. */
void tcp_listener_end_all(struct tcp_listener *d);

#endif
