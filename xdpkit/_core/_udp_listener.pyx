# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""The UDP listener's loop and the thread that runs it (``slowpath/udp_listener.h``).

    epoll -> recvmmsg -> answer (as the AF_XDP loop calls it) -> sendmmsg
"""

cimport cython
from libc.errno cimport errno
from libc.stdlib cimport free
from libc.string cimport memset

import os

from xdpkit._core._answer cimport answer_c, request
from xdpkit._core._capture cimport (
    CAPTURE_THREAD_UDP, LocalNumbers, capture_batch, capture_finish, capture_outcome,
)
from xdpkit._core._loop cimport WORKER_WAIT_MS
from xdpkit._core._thread_state cimport (
    CLOCK_REALTIME, clock_ns, clock_read, latency_add, thread_state_begin_batch, tx_stamp_batch,
    tx_record,
)
from xdpkit._core._snapshot cimport qsbr_offline, qsbr_online, qsbr_quiescent_state
from xdpkit._core._stats cimport (
    SERVICE_ntp, VERDICT_not_sent, VERDICT_PENDING, stats_dict, verdict, verdict_answers,
)
from xdpkit._core._thread cimport (
    SANDBOX_UDP, THREAD_RUN, thread_end, thread_order, thread_begin,
)
from xdpkit._core._stats import SERVICES

cdef extern from *:
    """
    #include <stdlib.h>
    #include "slowpath/udp_listener.h"

    static int udp_watch(int epoll_fd, int op, int fd, uint64_t tag)
    {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};

        return epoll_ctl(epoll_fd, op, fd, &event);
    }
    /* The next ready socket's tag; 0 after `ms` without one, or when woken to stop. */
    static uint64_t udp_next(struct udp_listener *d, int ms)
    {
        struct epoll_event event;

        return epoll_wait(d->epoll_fd, &event, 1, ms) == 1 ? event.data.u64 : 0;
    }
    static int udp_receive(struct udp_listener *d, int fd)
    {
        int n = recvmmsg(fd, d->message, UDP_BATCH, MSG_DONTWAIT, NULL);

        return n > 0 ? n : 0;
    }
    static int udp_send(struct udp_listener *d, int fd, int from, int n)
    {
        return sendmmsg(fd, d->message + from, (unsigned)n, MSG_DONTWAIT);
    }
    """
    const request *udp_answered(const udp_listener *d, int reply) nogil
    int udp_watch(int epoll_fd, int op, int fd, uint64_t tag) nogil
    uint64_t udp_next(udp_listener *d, int ms) nogil
    int udp_receive(udp_listener *d, int fd) nogil
    int udp_send(udp_listener *d, int fd, int first, int n) nogil
    int epoll_create1(int flags) nogil
    void *aligned_alloc(size_t alignment, size_t size) nogil
    enum:
        EPOLL_CLOEXEC
        EPOLL_CTL_ADD
        EPOLL_CTL_DEL


cdef void serve(udp_listener *d) noexcept nogil:
    """Answers what the kernel delivers to our sockets until told to stop."""
    cdef const snapshot *snap = qsbr_online(d.qsbr, d.reader)
    cdef uint64_t tag
    cdef int n

    udp_rearm(d, 0, UDP_BATCH)
    while thread_order(&d.thread) == THREAD_RUN:
        d.stats.heartbeat += 1
        # Quiescent before polling: a socket removed after that stays open until the next turn.
        # What the blocking wait found is polled again, online (epoll is level-triggered).
        snap = qsbr_quiescent_state(d.qsbr, d.reader)
        tag = udp_next(d, 0)
        if tag == 0:
            qsbr_offline(d.reader)
            d.stats.waits += 1
            udp_next(d, WORKER_WAIT_MS)
            snap = qsbr_online(d.qsbr, d.reader)
            continue
        n = udp_receive(d, udp_tag_fd(tag))
        if n == 0:
            continue
        d.stats.batches += 1
        answer_batch(d, snap, tag, n)
        udp_rearm(d, 0, n)
    qsbr_offline(d.reader)


cdef inline void answer_batch(udp_listener *d, const snapshot *snap, uint64_t tag,
                              int n) noexcept nogil:
    """Answers ``n`` datagrams of one socket, then sends the replies, compacted to be adjacent."""
    cdef tx_record *record
    cdef request *rq
    cdef verdict v
    cdef int i, replies = 0

    clock_read(&d.clock)
    thread_state_begin_batch(d.state, snap, &d.clock)
    d.capture = NULL
    if snap.capture is not NULL:
        d.capture = capture_batch(snap.capture, CAPTURE_THREAD_UDP, n)
    for i in range(n):
        rq = &d.request[i]
        record = d.pending_tx[replies] = &d.tx_records[i]
        v = udp_request(d, i, tag)
        if d.capture is not NULL:
            udp_capture_request(d, i, tag)
        if v == VERDICT_PENDING:
            if rq.service == SERVICE_ntp:
                arrival(d, rq, d.clock.utc_ns)
            v = answer_c(snap, d.state, rq, record)
        if not verdict_answers(v):
            d.stats.verdict[v] += 1
            if d.capture is not NULL:
                capture_outcome(d.capture, CAPTURE_THREAD_UDP, i, v, NULL, 0)
        else:
            d.vector[i].iov_len = rq.length
            d.outcome[replies] = v
            # The kernel chooses interface and source address by what the socket is bound to.
            d.message[i].msg_hdr.msg_control = NULL
            d.message[i].msg_hdr.msg_controllen = 0
            d.message[replies].msg_hdr = d.message[i].msg_hdr
            record.payload, record.sum, record.completion = rq.payload, 0, NULL
            replies += 1
    # One socket belongs to one service.
    if replies and d.request[0].service == SERVICE_ntp:
        tx_stamp_batch(d.state, d.pending_tx, replies)
    send_batch(d, snap, udp_tag_fd(tag), replies)
    if d.capture is not NULL:
        capture_finish(d.capture, CAPTURE_THREAD_UDP, n, d.sent_ns)


cdef inline void arrival(udp_listener *d, request *rq, uint64_t now) noexcept nogil:
    """The kernel's receive stamp; our clock if there is none, or if the clock was set back."""
    if 0 < rq.rx_ns <= now:
        d.stats.stamp_kernel += 1
    else:
        rq.rx_ns = now
        d.stats.stamp_clock += 1


cdef inline void send_batch(udp_listener *d, const snapshot *snap, int fd,
                            int replies) noexcept nogil:
    """Sends; a reply that the kernel refuses (no route, no buffer) is counted and skipped."""
    cdef int at = 0, sent, i

    if snap.latency or d.capture is not NULL:
        d.sent_ns = clock_ns(CLOCK_REALTIME)
    while at < replies:
        d.stats.kicks += 1
        sent = udp_send(d, fd, at, replies - at)
        for i in range(at, at + sent):
            d.stats.verdict[d.outcome[i]] += 1
            observe(d, snap, i, <verdict>d.outcome[i])
        if sent <= 0:
            d.stats.verdict[VERDICT_not_sent] += 1
            observe(d, snap, at, VERDICT_not_sent)
            sent = 1
        at += sent


cdef inline void observe(udp_listener *d, const snapshot *snap, int reply,
                         verdict v) noexcept nogil:
    """The reply at this place among those to send has left, or was refused."""
    cdef const request *rq = udp_answered(d, reply)
    cdef bint left = v != VERDICT_not_sent

    if snap.latency and left:
        latency_add(&d.state.latency, d.sent_ns, rq.rx_ns, d.clock.utc_ns)
    if d.capture is not NULL:
        capture_outcome(d.capture, CAPTURE_THREAD_UDP, <unsigned>(rq - &d.request[0]), v,
                        rq.payload if left else NULL, rq.length)


cdef void *entry(void *argument) noexcept nogil:
    cdef udp_listener *d = <udp_listener *>argument

    thread_begin(&d.thread, SANDBOX_UDP)
    serve(d)
    thread_end(&d.thread)
    return NULL


@cython.no_gc_clear
cdef class UdpListener(Thread):
    """The thread that answers on kernel sockets. Sockets come and go while it runs.

    ``add`` takes bound, non-blocking UDP sockets (``xdpkit.slowpath.udp`` makes them) and keeps
    them open; ``remove`` hands one back, which the caller may close after the grace period.
    ``state`` belongs to this thread alone.
    """

    def __cinit__(self, SharedSnapshot shared not None, ThreadState state not None):
        self.shared, self.state = shared, state
        self.sockets = {}
        self.numbers = LocalNumbers()
        self.c = <udp_listener *>aligned_alloc(64, (sizeof(udp_listener) + 63) & ~<size_t>63)
        if self.c is NULL:
            raise MemoryError()
        memset(self.c, 0, sizeof(udp_listener))
        self.c.qsbr = shared.c
        self.c.state = state.c
        state.c.thread = CAPTURE_THREAD_UDP
        self.c.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.c.epoll_fd < 0:
            raise OSError("no file descriptor left for epoll")
        self._prepare(&self.c.thread, &self.c.stats, -1)
        # Tag 0 belongs to no socket: SERVICE_NONE on port 0.
        udp_watch(self.c.epoll_fd, EPOLL_CTL_ADD, self.c.thread.wake_fd, 0)

    def add(self, sock, str service not None):
        """Starts answering on another socket."""
        cdef int fd = sock.fileno()
        cdef unsigned short number = self.numbers.take(sock, self.c.local)
        if udp_watch(self.c.epoll_fd, EPOLL_CTL_ADD, fd,
                     udp_tag(fd, SERVICES[service], number)) != 0:
            raise OSError(errno, os.strerror(errno))
        self.sockets[fd] = sock

    def remove(self, sock):
        """Stops answering on a socket; the thread may still be in its last batch."""
        cdef int fd = sock.fileno()
        udp_watch(self.c.epoll_fd, EPOLL_CTL_DEL, fd, 0)
        self.numbers.give_back(fd)
        del self.sockets[fd]

    def start(self):
        """Starts the thread. Raises OSError."""
        self.c.reader = self._borrow(self.shared)
        self._spawn("xdpkit-udp", entry, self.c)

    def counters(self):
        """A copy of the thread's counters (``runtime/stats.h``)."""
        return stats_dict(&self.c.stats)

    def __dealloc__(self):
        if self.c is NULL:
            return
        self._finish()
        if self.c.epoll_fd >= 0:
            os.close(self.c.epoll_fd)
        free(self.c)
