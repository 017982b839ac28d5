# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""The TCP listener's loop and the thread that runs it (``slowpath/tcp_listener.h``).

    epoll -> accept                            opening and closing: slowpath/tcp_listener.c
          -> receive -> tcp_answer -> send     queries and answers: slowpath/tcp.c
"""

cimport cython
from libc.errno cimport errno
from libc.stdlib cimport free
from libc.string cimport memset

import os
import secrets

from xdpkit._core._capture cimport CAPTURE_THREAD_TCP
from xdpkit._core._thread_state cimport clock_read, thread_state_begin_batch
from xdpkit._core._snapshot cimport qsbr_offline, qsbr_online, qsbr_quiescent_state
from xdpkit._core._stats cimport stats_dict
from xdpkit._core._thread cimport (
    SANDBOX_TCP, THREAD_RUN, thread_end, thread_order, thread_begin,
)

cdef extern from *:
    """
    #include <stdlib.h>
    #include <sys/mman.h>
    #include "slowpath/tcp_listener.h"

    static const char *const tcp_end_names[] = {
        "",
    #define TCP_END_NAME(name, text) #name,
        TCP_ENDS(TCP_END_NAME)
    };
    static const char *const tcp_end_texts[] = {
        "",
    #define TCP_END_TEXT(name, text) text,
        TCP_ENDS(TCP_END_TEXT)
    };

    /* Zeroed and populated now: nothing that a client does must need memory later. */
    static void *tcp_map(size_t size)
    {
        void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

        return p == MAP_FAILED ? NULL : p;
    }
    """
    const char *tcp_end_names[]
    const char *tcp_end_texts[]
    void *tcp_map(size_t size) nogil
    int munmap(void *address, size_t size) nogil
    int epoll_create1(int flags) nogil
    void *aligned_alloc(size_t alignment, size_t size) nogil
    ssize_t recv(int fd, void *buffer, size_t length, int flags) nogil
    ssize_t send(int fd, const void *buffer, size_t length, int flags) nogil
    int shutdown(int fd, int how) nogil
    enum:
        EPOLL_CLOEXEC
        EPOLL_CTL_ADD
        EPOLL_CTL_DEL
        EPOLLIN
        EPOLLOUT
        MSG_NOSIGNAL
        MSG_TRUNC
        SHUT_WR

# Why a connection ended, as counted under "ended", and what it means.
ENDS = {tcp_end_names[i].decode(): tcp_end_texts[i].decode() for i in range(1, TCP_END_COUNT)}

# The longest query accepted, bytes.
QUERY_MAX = TCP_QUERY_MAX

# The most bytes to discard per turn from a client whose input is no longer read.
cdef enum:
    THROWN_AWAY = 1 << 16


cdef void serve(tcp_listener *d) noexcept nogil:
    """Serves connections until told to stop."""
    cdef const snapshot *snap = qsbr_online(d.qsbr, d.reader)
    cdef int n, i

    while thread_order(&d.thread) == THREAD_RUN:
        d.tcp.stats.heartbeat += 1
        # Quiescent before polling: a listening socket removed after that stays open until the
        # next turn. What the blocking wait found is polled again, online.
        snap = qsbr_quiescent_state(d.qsbr, d.reader)
        n = tcp_listener_wait(d, 0)
        if n == 0:
            qsbr_offline(d.reader)
            d.tcp.stats.waits += 1
            tcp_listener_wait(d, tcp_listener_sleep_ms(d))
            snap = qsbr_online(d.qsbr, d.reader)
        clock_read(&d.tcp.clock)
        thread_state_begin_batch(d.tcp.state, snap, &d.tcp.clock)
        for i in range(n):
            turn(d, snap, d.event[i].data.u64)
        # After reading what has arrived: it may have been waiting for this thread.
        tcp_listener_tick(d)
    tcp_listener_close_all(d)
    qsbr_offline(d.reader)


cdef inline void turn(tcp_listener *d, const snapshot *snap, uint64_t tag) noexcept nogil:
    """Serves one ready event."""
    cdef tcp_connection *c = tcp_listener_connection(d, tag)

    if tag == TCP_LISTENER_LISTENERS:
        tcp_listener_accept(d, snap)
    if c is NULL:
        return
    if c.unsent:
        if deliver(d, c):
            tcp_listener_watch_connection(d, c, EPOLLIN)
            converse(d, c, snap)
    elif c.half_closed:
        throw_away(d, c)
    elif receive(d, c):
        converse(d, c, snap)


cdef inline void converse(tcp_listener *d, tcp_connection *c, const snapshot *snap) noexcept nogil:
    """Answers what has arrived, until done or until the client does not take the answers."""
    cdef tcp_step step = TCP_OUTPUT_FULL

    while step == TCP_OUTPUT_FULL:
        step = tcp_answer(&d.tcp, c, snap)
        if not deliver(d, c):
            return
    if step == TCP_NEEDS_SLOT:
        free_a_slot(d)
        tcp_take_large(&d.tcp.table, c)
    if step == TCP_CLOSES:
        # Not closed yet: with unread input that would send a reset and could destroy our answers.
        c.half_closed = True
        shutdown(c.fd, SHUT_WR)


cdef inline bint receive(tcp_listener *d, tcp_connection *c) noexcept nogil:
    """Reads what has arrived; returns whether there is new input."""
    cdef uint32_t room = 0
    cdef uint8_t *at = tcp_input(&d.tcp, c, &room)
    cdef ssize_t n = recv(c.fd, at, room, 0)

    if n > 0:
        d.tcp.stats.batches += 1
        tcp_received(c, <uint32_t>n)
    elif n == 0:
        tcp_listener_close(d, c, TCP_END_client)
    elif not tcp_listener_would_block():
        tcp_listener_close(d, c, TCP_END_error)
    return n > 0


cdef inline void free_a_slot(tcp_listener *d) noexcept nogil:
    """If all are in use, closes the connection that has had its slot for the longest time."""
    cdef tcp_connection *other = tcp_slot_victim(&d.tcp.table)

    if other is not NULL:
        tcp_listener_close(d, other, TCP_END_displaced)


cdef inline bint deliver(tcp_listener *d, tcp_connection *c) noexcept nogil:
    """Sends pending output; returns whether all of it was sent and the connection is open."""
    cdef tcp_bytes out = tcp_output(&d.tcp, c)
    cdef bint before = c.unsent != 0
    cdef ssize_t n

    if out.length == 0:
        return True
    d.tcp.stats.kicks += 1
    n = send(c.fd, out.at, out.length, MSG_NOSIGNAL)
    if n < 0:
        if not tcp_listener_would_block():
            d.tcp.filled = 0
            tcp_listener_close(d, c, TCP_END_error)
            return False
        n = 0
    if <uint32_t>n < out.length and not before:
        free_a_slot(d)
    if tcp_sent(&d.tcp, c, <uint32_t>n):
        return True
    if not before:
        tcp_listener_watch_connection(d, c, EPOLLOUT)
    return False


cdef inline void throw_away(tcp_listener *d, tcp_connection *c) noexcept nogil:
    """Discards input; when the client closes, or on an error, the connection ends."""
    cdef ssize_t n = recv(c.fd, NULL, THROWN_AWAY, MSG_TRUNC)

    if n == 0 or (n < 0 and not tcp_listener_would_block()):
        tcp_listener_close(d, c, <tcp_end>c.end)


cdef void *entry(void *argument) noexcept nogil:
    cdef tcp_listener *d = <tcp_listener *>argument

    thread_begin(&d.thread, SANDBOX_TCP)
    serve(d)
    thread_end(&d.thread)
    return NULL


@cython.no_gc_clear
cdef class TcpListener(Thread):
    """The thread that answers DNS over TCP. Listening sockets come and go while it runs.

    ``add`` takes listening, non-blocking TCP sockets (``xdpkit.slowpath.tcp`` makes them) and keeps
    them open; ``remove`` hands one back, which the caller may close after the grace period.
    ``state`` belongs to this thread alone. ``connections``, at least 1, is the most connections at
    a time, an eighth of them from one source; ``idle_ns`` is how long one may go without a query;
    ``queries`` is the most queries per connection, 0 for no limit. Raises MemoryError, OSError.
    """

    def __cinit__(self, SharedSnapshot shared not None, ThreadState state not None, *,
                  uint32_t connections, uint64_t idle_ns, uint32_t queries=0):
        cdef tcp_limits limits
        cdef uint64_t seed[2]
        self.shared, self.state = shared, state
        self.sockets = {}
        self.numbers = LocalNumbers()
        self.c = <tcp_listener *>aligned_alloc(64, (sizeof(tcp_listener) + 63) & ~<size_t>63)
        if self.c is NULL:
            raise MemoryError()
        memset(self.c, 0, sizeof(tcp_listener))
        self.c.epoll_fd = self.c.listen_fd = -1
        limits.connections = connections
        limits.per_source = max(connections // 8, 1)
        # Few clients are too slow for the kernel's buffers; more of them displace the slowest.
        limits.slots = max(connections // 16, 1)
        limits.queries, limits.idle_ns = queries, idle_ns
        seed[0], seed[1] = secrets.randbits(64), secrets.randbits(64)
        self.tables_size = tcp_table_bytes(&limits)
        self.tables = tcp_map(self.tables_size)
        if self.tables is NULL:
            raise MemoryError()
        tcp_table_open(&self.c.tcp.table, &limits, self.tables, seed)
        self.c.qsbr = shared.c
        self.c.tcp.state = state.c
        self.c.tcp.local = self.c.local
        state.c.thread = CAPTURE_THREAD_TCP
        self.c.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        self.c.listen_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.c.epoll_fd < 0 or self.c.listen_fd < 0:
            raise OSError("no file descriptor left for epoll")
        self._prepare(&self.c.thread, &self.c.tcp.stats, -1)
        tcp_listener_watch(self.c.epoll_fd, EPOLL_CTL_ADD, self.c.thread.wake_fd, EPOLLIN,
                           TCP_LISTENER_WAKE)
        # The thread starts to listen in its first turn.
        tcp_listener_watch(self.c.epoll_fd, EPOLL_CTL_ADD, self.c.listen_fd, 0,
                           TCP_LISTENER_LISTENERS)

    def add(self, sock):
        """Starts accepting from another socket."""
        cdef int fd = sock.fileno()
        cdef unsigned short number = self.numbers.take(sock, self.c.local)
        if tcp_listener_watch(self.c.listen_fd, EPOLL_CTL_ADD, fd, EPOLLIN,
                              tcp_listener_tag(fd, number)) != 0:
            raise OSError(errno, os.strerror(errno))
        self.sockets[fd] = sock

    def remove(self, sock):
        """Stops accepting from a socket; its connections stay, and this turn may still use it."""
        cdef int fd = sock.fileno()
        tcp_listener_watch(self.c.listen_fd, EPOLL_CTL_DEL, fd, 0, 0)
        self.numbers.give_back(fd)
        del self.sockets[fd]

    def start(self):
        """Starts the thread. Raises OSError."""
        self.c.reader = self._borrow(self.shared)
        self._spawn("xdpkit-tcp", entry, self.c)

    def counters(self):
        """A copy of the thread's counters; ``ended`` is by reason (``ENDS``)."""
        cdef tcp *t = &self.c.tcp
        return stats_dict(&t.stats) | {
            "open": t.table.used,
            "accepted": t.accepted,
            "queries": t.queries,
            "pauses": self.c.pauses,
            "ended": {name: t.ended[i] for i, name in enumerate(ENDS, 1)},
        }

    def __dealloc__(self):
        if self.c is NULL:
            return
        self._finish()
        for fd in (self.c.epoll_fd, self.c.listen_fd):
            if fd >= 0:
                os.close(fd)
        if self.tables is not NULL:
            munmap(self.tables, self.tables_size)
        free(self.c)
