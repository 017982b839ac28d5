// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* accept4(2), and what runtime/thread.h needs */
#include "slowpath/tcp_listener.h"

#include "runtime/access.h"

/* Makes close() send a reset, so the kernel keeps neither data nor TIME_WAIT state: socket(7). */
static void reset_on_close(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

void tcp_listener_close(struct tcp_listener *listener, struct tcp_connection *c, enum tcp_end why)
{
	bool abrupt = c->unsent || why == TCP_END_displaced;
	int fd = tcp_release(&listener->tcp.table, c);

	listener->tcp.ended[why]++;
	if (abrupt)
		reset_on_close(fd);
	close(fd);
}

void tcp_listener_close_all(struct tcp_listener *listener)
{
	struct tcp_connection *c;

	while ((c = tcp_longest_idle(&listener->tcp.table)))
		tcp_listener_close(listener, c, TCP_END_stopped);
}

/* ---------------------------------------------------------------------------------------------- */

/* A peer's address in network order, with its IP version and port. */
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

/* When the connection idle longest may be displaced. */
static uint64_t grace_until(const struct tcp_listener *listener)
{
	const struct tcp_connection *c = tcp_longest_idle(&listener->tcp.table);

	return c ? c->active_ns + TCP_LISTENER_GRACE_NS : UINT64_MAX;
}

/* Closes the connection idle longest, unless it was active just now. */
static bool make_room(struct tcp_listener *listener)
{
	if (grace_until(listener) > listener->tcp.clock.mono_ns)
		return false;
	tcp_listener_close(listener, tcp_longest_idle(&listener->tcp.table), TCP_END_displaced);
	return true;
}

/* When new connections can be accepted again. */
static uint64_t accepting_from(const struct tcp_listener *listener)
{
	const struct tcp_table *table = &listener->tcp.table;
	uint64_t room = table->used == table->limits.connections ? grace_until(listener) : 0;

	return room > listener->paused_ns ? room : listener->paused_ns;
}

/* Refuses a connection that was just accepted. */
static void refuse(struct tcp_listener *listener, int fd, enum tcp_end why)
{
	listener->tcp.ended[why]++;
	reset_on_close(fd);
	close(fd);
}

static void admit(struct tcp_listener *listener, const struct snapshot *snap, int fd,
		  const struct sockaddr_in6 *peer, uint16_t local)
{
	struct tcp_table *table = &listener->tcp.table;
	struct tcp_connection *c;
	uint8_t ip_version;
	uint16_t port;
	const uint8_t *source = peer_of(peer, &ip_version, &port);

	listener->tcp.accepted++;
	/* A source that gets no answer over UDP gets no connection either, and takes no room. */
	if (snap->dns_access && access_check(snap->dns_access, source, ip_version,
					     VERDICT_dns_denied) != VERDICT_PENDING) {
		refuse(listener, fd, TCP_END_denied);
		return;
	}
	if (tcp_source_is_full(table, source, ip_version)) {
		refuse(listener, fd, TCP_END_source);
		return;
	}
	if (table->used == table->limits.connections)
		make_room(listener);
	c = tcp_admit(table, fd, source, ip_version, port, listener->tcp.clock.mono_ns);
	c->local = local;
	if (tcp_listener_watch(listener->epoll_fd, EPOLL_CTL_ADD, fd, EPOLLIN,
			       TCP_LISTENER_LISTENERS + tcp_index(table, c)))
		tcp_listener_close(listener, c, TCP_END_error);
}

/* Takes the tag of a listening socket with a pending connection, if there is one; round-robin. */
static bool next_listener(struct tcp_listener *listener, uint64_t *tag)
{
	struct epoll_event event;

	if (epoll_wait(listener->listen_fd, &event, 1, 0) != 1)
		return false;
	*tag = event.data.u64;
	return true;
}

/* Whether accept4(2) failed for lack of descriptors or socket memory. */
static bool exhausted(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

void tcp_listener_accept(struct tcp_listener *listener, const struct snapshot *snap)
{
	uint64_t now = listener->tcp.clock.mono_ns;
	bool made_room = false;

	for (int n = 0; n < TCP_LISTENER_EVENTS && accepting_from(listener) <= now; n++) {
		struct sockaddr_in6 peer;
		socklen_t length = sizeof peer;
		uint64_t tag;
		int fd;

		if (!next_listener(listener, &tag))
			return;
		fd = accept4((int)(uint32_t)tag, (struct sockaddr *)&peer, &length,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			admit(listener, snap, fd, &peer, (uint16_t)(tag >> 32));
			made_room = false;
		} else if (exhausted(errno) && (made_room || !(made_room = make_room(listener)))) {
			/* Closing a connection did not free what is missing: do not spin. */
			listener->paused_ns = now + TCP_LISTENER_GRACE_NS;
			listener->pauses++;
		}
		/* Other errors concern a single connection that is already gone: accept(2). */
	}
}

/* ---------------------------------------------------------------------------------------------- */

/* When the connection idle longest exceeds its idle limit. */
static uint64_t idle_until(const struct tcp_listener *listener)
{
	const struct tcp_connection *c = tcp_longest_idle(&listener->tcp.table);

	return c ? c->active_ns + tcp_idle_limit_ns(&listener->tcp.table) : UINT64_MAX;
}

int tcp_listener_sleep_ms(const struct tcp_listener *listener)
{
	uint64_t now = listener->tcp.clock.mono_ns, until = now + WORKER_WAIT_MS * 1000000ull;

	if (idle_until(listener) < until)
		until = idle_until(listener);
	if (!listener->accepting && accepting_from(listener) < until)
		until = accepting_from(listener);
	return until > now ? (int)((until - now + 999999) / 1000000) : 0;
}

void tcp_listener_tick(struct tcp_listener *listener)
{
	uint64_t now = listener->tcp.clock.mono_ns;
	bool accepting;

	while (idle_until(listener) <= now) {
		struct tcp_connection *c = tcp_longest_idle(&listener->tcp.table);

		if (c->unsent)
			tcp_listener_close(listener, c, TCP_END_unread);
		else
			tcp_listener_close(listener, c,
					   c->end ? (enum tcp_end)c->end : TCP_END_idle);
	}
	accepting = accepting_from(listener) <= now;
	if (accepting != listener->accepting)
		tcp_listener_watch(listener->epoll_fd, EPOLL_CTL_MOD, listener->listen_fd,
				   accepting ? EPOLLIN : 0, TCP_LISTENER_LISTENERS);
	listener->accepting = accepting;
}
