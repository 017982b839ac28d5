// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* accept4(2), and what runtime/thread.h needs */
#include "slowpath/tcp_listener.h"

/* So that close() sends a reset, and the kernel keeps neither data nor a TIME_WAIT: socket(7). */
static void forget(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

void tcp_listener_end(struct tcp_listener *d, struct tcp_connection *c, enum tcp_end why)
{
	bool abrupt = c->unsent || why == TCP_END_displaced;
	int fd = tcp_release(&d->tcp.table, c);

	d->tcp.ended[why]++;
	if (abrupt)
		forget(fd);
	close(fd);
}

void tcp_listener_end_all(struct tcp_listener *d)
{
	struct tcp_connection *c;

	while ((c = tcp_idlest(&d->tcp.table)))
		tcp_listener_end(d, c, TCP_END_stopped);
}

/* ---------------------------------------------------------------------------------------------- */

/* A peer's address in network order; its family and port. */
static const uint8_t *peer_of(const struct sockaddr_in6 *peer, uint8_t *ip_version, uint16_t *port)
{
	const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)peer;

	if (peer->sin6_family == AF_INET) {
		*ip_version = 4;
		*port = __builtin_bswap16(ipv4->sin_port);
		return (const uint8_t *)&ipv4->sin_addr;
	}
	*ip_version = 6;
	*port = __builtin_bswap16(peer->sin6_port);
	return (const uint8_t *)&peer->sin6_addr;
}

/* When the idlest connection may be displaced. */
static uint64_t grace_until(const struct tcp_listener *d)
{
	const struct tcp_connection *c = tcp_idlest(&d->tcp.table);

	return c ? c->active_ns + TCP_LISTENER_GRACE_NS : UINT64_MAX;
}

/* Ends the idlest connection, unless it was active just now. */
static bool make_room(struct tcp_listener *d)
{
	if (grace_until(d) > d->tcp.clock.mono_ns)
		return false;
	tcp_listener_end(d, tcp_idlest(&d->tcp.table), TCP_END_displaced);
	return true;
}

/* From when on new connections can be taken in. */
static uint64_t accepting_from(const struct tcp_listener *d)
{
	const struct tcp_table *table = &d->tcp.table;
	uint64_t room = table->used == table->limits.connections ? grace_until(d) : 0;

	return room > d->paused_ns ? room : d->paused_ns;
}

static void admit(struct tcp_listener *d, int fd, const struct sockaddr_in6 *peer)
{
	struct tcp_table *table = &d->tcp.table;
	struct tcp_connection *c;
	uint8_t ip_version;
	uint16_t port;
	const uint8_t *source = peer_of(peer, &ip_version, &port);

	d->tcp.accepted++;
	if (tcp_share_taken(table, source, ip_version)) {
		d->tcp.ended[TCP_END_source]++;
		forget(fd);
		close(fd);
		return;
	}
	if (table->used == table->limits.connections)
		make_room(d);
	c = tcp_admit(table, fd, source, ip_version, port, d->tcp.clock.mono_ns);
	if (tcp_listener_watch(d->epoll_fd, EPOLL_CTL_ADD, fd, EPOLLIN,
			       TCP_LISTENER_LISTENERS + tcp_index(table, c)))
		tcp_listener_end(d, c, TCP_END_error);
}

/* A listening socket that has a connection, or -1; they take turns. */
static int next_listener(struct tcp_listener *d)
{
	struct epoll_event event;

	return epoll_wait(d->listen_fd, &event, 1, 0) == 1 ? (int)event.data.u64 : -1;
}

/* What accept4(2) says when there is no room: of descriptors, or of memory for sockets. */
static bool exhausted(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

void tcp_listener_accept(struct tcp_listener *d)
{
	uint64_t now = d->tcp.clock.mono_ns;
	bool made_room = false;

	for (int n = 0; n < TCP_LISTENER_EVENTS && accepting_from(d) <= now; n++) {
		struct sockaddr_in6 peer;
		socklen_t length = sizeof peer;
		int listener = next_listener(d), fd;

		if (listener < 0)
			return;
		fd = accept4(listener, (struct sockaddr *)&peer, &length,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			admit(d, fd, &peer);
			made_room = false;
		} else if (exhausted(errno) && (made_room || !(made_room = make_room(d)))) {
			/* What the idlest had was not what is missing: this must not spin. */
			d->paused_ns = now + TCP_LISTENER_GRACE_NS;
			d->pauses++;
		}
		/* Other errors are of one connection that was gone already: accept(2). */
	}
}

/* ---------------------------------------------------------------------------------------------- */

/* When the idlest connection has been so for too long. */
static uint64_t idle_until(const struct tcp_listener *d)
{
	const struct tcp_connection *c = tcp_idlest(&d->tcp.table);

	return c ? c->active_ns + tcp_patience_ns(&d->tcp.table) : UINT64_MAX;
}

int tcp_listener_sleep_ms(const struct tcp_listener *d)
{
	uint64_t now = d->tcp.clock.mono_ns, until = now + WORKER_WAIT_MS * 1000000ull;

	if (idle_until(d) < until)
		until = idle_until(d);
	if (!d->accepting && accepting_from(d) < until)
		until = accepting_from(d);
	return until > now ? (int)((until - now + 999999) / 1000000) : 0;
}

void tcp_listener_tick(struct tcp_listener *d)
{
	uint64_t now = d->tcp.clock.mono_ns;
	bool accepting;

	while (idle_until(d) <= now) {
		struct tcp_connection *c = tcp_idlest(&d->tcp.table);

		if (c->unsent)
			tcp_listener_end(d, c, TCP_END_unread);
		else
			tcp_listener_end(d, c, c->end ? (enum tcp_end)c->end : TCP_END_idle);
	}
	accepting = accepting_from(d) <= now;
	if (accepting != d->accepting)
		tcp_listener_watch(d->epoll_fd, EPOLL_CTL_MOD, d->listen_fd,
				   accepting ? EPOLLIN : 0, TCP_LISTENER_LISTENERS);
	d->accepting = accepting;
}
