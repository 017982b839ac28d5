/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TCP listener: what one thread needs besides the protocol (slowpath/tcp.h) to serve kernel
 * sockets, with one listening socket per address: how connections are opened and closed. Only
 * tcp_listener_wait() blocks.
 */
#ifndef XDPKIT_TCP_LISTENER_H
#define XDPKIT_TCP_LISTENER_H

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

/* Connections served, and accepted, per turn of the loop: between turns the thread passes a
 * quiescent state. */
#define TCP_LISTENER_EVENTS 64

/*
 * A connection is not displaced for this long after its last activity: most clients send their
 * query, or the next one, within a round trip. New connections wait in the kernel. Accepting also
 * pauses for this long when there is no descriptor or memory for a connection.
 */
#define TCP_LISTENER_GRACE_NS 100000000ull

/* epoll tags; a connection's tag is TCP_LISTENER_LISTENERS plus its number, which starts at 1. */
#define TCP_LISTENER_WAKE      0
#define TCP_LISTENER_LISTENERS 1

/* The tag of a listening socket, in listen_fd: descriptor, and number of its address. */
static inline uint64_t tcp_listener_tag(int fd, uint16_t local)
{
	return (uint64_t)local << 32 | (uint32_t)fd;
}

struct tcp_listener {
	struct tcp tcp;
	struct qsbr *qsbr;
	struct qsbr_reader *reader;
	struct thread thread;
	int epoll_fd;       /* watches connections, the wake-up fd, and listen_fd */
	int listen_fd;      /* epoll of the listening sockets: one change disables them all */
	bool accepting;     /* whether listen_fd is being watched */
	uint64_t pauses;    /* times descriptors or memory ran out while accepting */
	uint64_t paused_ns; /* accept no connections until then: CLOCK_MONOTONIC */
	struct epoll_event event[TCP_LISTENER_EVENTS];
	struct local_address local[LOCAL_ADDRESSES];
};

static inline int tcp_listener_watch(int epoll_fd, int op, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event event = {.events = events, .data.u64 = tag};

	return epoll_ctl(epoll_fd, op, fd, &event);
}

/* Fills `event` with ready events and returns their number; waits up to `ms` for the first. */
static inline int tcp_listener_wait(struct tcp_listener *listener, int ms)
{
	int n = epoll_wait(listener->epoll_fd, listener->event, TCP_LISTENER_EVENTS, ms);

	return n > 0 ? n : 0;
}

/* The connection of an event; NULL if it is no connection's, or that is closed by now. */
static inline struct tcp_connection *tcp_listener_connection(struct tcp_listener *listener,
							     uint64_t tag)
{
	struct tcp_connection *c;

	if (tag <= TCP_LISTENER_LISTENERS)
		return NULL;
	c = &listener->tcp.table.connection[tag - TCP_LISTENER_LISTENERS];
	return c->fd >= 0 ? c : NULL;
}

/* Watches for input (EPOLLIN) or for room for output (EPOLLOUT), never both. */
static inline void tcp_listener_watch_connection(struct tcp_listener *listener,
						 struct tcp_connection *c, uint32_t events)
{
	tcp_listener_watch(listener->epoll_fd, EPOLL_CTL_MOD, c->fd, events,
			   TCP_LISTENER_LISTENERS + tcp_index(&listener->tcp.table, c));
}

/* Whether the last call on a nonblocking socket is to be retried later. */
static inline bool tcp_listener_would_block(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* Milliseconds until the next timeout is due, at most WORKER_WAIT_MS. */
int tcp_listener_sleep_ms(const struct tcp_listener *listener);

/* Accepts up to a turn's worth of connections; refuses those denied, or with their share already.
 */
void tcp_listener_accept(struct tcp_listener *listener, const struct snapshot *snap);

/* Closes a connection; with a reset if an answer is cut short or the connection is displaced. */
void tcp_listener_close(struct tcp_listener *listener, struct tcp_connection *c, enum tcp_end why);

/* Closes connections idle too long; starts or stops accepting, depending on room. */
void tcp_listener_tick(struct tcp_listener *listener);

/* Closes all connections. */
void tcp_listener_close_all(struct tcp_listener *listener);

#endif
