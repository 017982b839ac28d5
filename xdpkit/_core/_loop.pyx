# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""The fast path: ``serve`` is a queue's AF_XDP loop, ``Worker`` the thread that runs it.

    RX ring -> frame_parse -> answer (ntp/reply.c, dns/reply.c, echo) -> frame_turn -> TX ring, kick

A raw thread: it never takes the GIL, so nothing in the control plane can delay a reply.
"""

cimport cython
from libc.stdlib cimport free
from libc.string cimport memset

from xdpkit._core._answer cimport (
    FRAME_CHECKSUM_PARTIAL, answer_begin, answer_end, answer_prefetch, frame_parse, frame_turn,
)
from xdpkit._core._thread_state cimport (
    TRANSMIT_KICK, clock_advance, clock_expire, tx_record, thread_state_begin_batch,
    tx_process_completion, tx_request_timestamp, tx_skip_timestamp, tx_stamp_batch,
)
from xdpkit._core._snapshot cimport qsbr_offline, qsbr_online, qsbr_quiescent_state
from xdpkit._core._stats cimport (
    SERVICE_ntp, VERDICT_PENDING, XDPKIT_CHUNK, stats_dict, verdict, verdict_answers,
)
from xdpkit._core._thread cimport (
    SANDBOX_RING, THREAD_PARK, THREAD_STOP, thread_begin, thread_end, thread_order,
    thread_send_order,
)
from xdpkit._core._thread_state import TRANSMIT_SOURCES
from xdpkit._core._xsk cimport (
    XSK_TX_METADATA, ring, ring_address, ring_adjacent, ring_desc, ring_level, ring_peek,
    ring_publish, ring_release, ring_untaken, xdp_desc, xsk_chunk, xsk_completed, xsk_kick,
    xsk_prefetch, xsk_reap, xsk_refill,
)

cdef extern from *:
    """
    #include <poll.h>
    #include <stdlib.h>
    #include "xdp/worker.h"

    static void worker_wait(int xsk_fd, int wake_fd, int ms)
    {
        struct pollfd fds[2] = {{xsk_fd, POLLIN, 0}, {wake_fd, POLLIN, 0}};

        poll(fds, 2, ms);
    }
    static void worker_poll_device(int xsk_fd)
    {
        recvfrom(xsk_fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
    }
    """
    void worker_wait(int xsk_fd, int wake_fd, int ms) nogil
    void worker_poll_device(int xsk_fd) nogil
    void *aligned_alloc(size_t alignment, size_t size) nogil


cdef void serve(worker *w) noexcept nogil:
    """Answers what arrives on one queue until told to stop and the RX ring is empty, or told to
    park. At the start of a turn every frame is on a ring: none is free or being processed."""
    cdef const snapshot *snap = qsbr_online(w.qsbr, w.reader)
    cdef uint32_t n

    while thread_order(&w.thread) != THREAD_PARK:
        w.stats.heartbeat += 1
        n = ring_peek(&w.xsk.rx, WORKER_BATCH)
        if n == 0:
            if thread_order(&w.thread) == THREAD_STOP:
                flush(w)
                break
            wait(w, snap)
            snap = qsbr_online(w.qsbr, w.reader)
            continue
        snap = qsbr_quiescent_state(w.qsbr, w.reader)
        clock_advance(&w.clock)
        answer_batch(w, snap, n)
        stamp_batch(w, snap, n)
        ring_publish(&w.xsk.tx)
        w.stats.kicks += xsk_kick(w.xsk)
        w.stats.batches += 1
        reap(w, snap)
        xsk_refill(w.xsk, 0)
    qsbr_offline(w.reader)


cdef void answer_batch(worker *w, const snapshot *snap, uint32_t n) noexcept nogil:
    """Turns ``n`` received frames into replies on the TX ring, not yet published, or frees them."""
    cdef uint32_t done = 0, group

    thread_state_begin_batch(w.state, snap, &w.clock)
    w.capture = NULL
    if snap.capture is not NULL:
        worker_capture_batch(w, snap, n)
    prefetch_batch(w, n)
    while done < n:
        # Within both rings' bounds: the descriptors of a group are adjacent.
        group = min(n - done, <uint32_t>WORKER_GROUP)
        group = ring_adjacent(&w.xsk.rx, ring_adjacent(&w.xsk.tx, group))
        answer_group(w, snap, &w.tx_records[done], group)
        done += group
    ring_release(&w.xsk.rx)


cdef inline void prefetch_batch(worker *w, uint32_t n) noexcept nogil:
    cdef const uint8_t *umem = w.xsk.umem
    cdef ring rx = w.xsk.rx
    cdef uint32_t i

    for i in range(n):
        xsk_prefetch(umem + ring_desc(&rx, rx.at + i).addr)


cdef inline void answer_group(worker *w, const snapshot *snap, tx_record *record,
                              uint32_t n) noexcept nogil:
    """Answers the next ``n`` frames on the RX ring, in passes: each finds in the cache what the
    previous one prefetched, and wide loads only read what has left the store buffer."""
    cdef const xdp_desc *rx = ring_desc(&w.xsk.rx, w.xsk.rx.at)
    cdef uint8_t *umem = w.xsk.umem
    cdef uint32_t pending = 0, i

    for i in range(n):
        pending += receive(w, snap, umem + rx[i].addr, &rx[i], &w.packet[i], &record[i])
    if pending:
        answer_pending(w, snap, record, n)
    if snap.latency:
        worker_note_arrivals(w, rx, n)
    send_group(w, rx, record, n)
    if w.capture is not NULL:
        worker_capture_outcomes(w, <uint32_t>(record - &w.tx_records[0]), n)
    w.xsk.rx.at += n


cdef inline bint receive(worker *w, const snapshot *snap, uint8_t *data, const xdp_desc *d,
                         packet *p, tx_record *record) noexcept nogil:
    """Parses a frame and begins its answer; whether ``answer_end`` must finish it."""
    cdef verdict v = frame_parse(snap, data, d.len, room(d.addr), &p.frame, &p.request)

    if w.capture is not NULL:
        worker_capture_request(w, snap, data, d.len, p, v,
                               <uint32_t>(record - &w.tx_records[0]))
    if v == VERDICT_PENDING:
        if p.request.service == SERVICE_ntp:
            p.request.rx_ns = clock_arrival(w, &snap.phc, data)
        if p.frame.checksum == FRAME_CHECKSUM_PARTIAL:
            w.stats.csum_partial += 1
        v = answer_begin(snap, w.state, &p.request, &p.query, record)
    p.outcome = v
    return v == VERDICT_PENDING


cdef inline void answer_pending(worker *w, const snapshot *snap, tx_record *record,
                                uint32_t n) noexcept nogil:
    """Answers those of ``n`` requests that need memory which may miss the cache."""
    cdef bint again = True
    cdef packet *p
    cdef uint32_t i

    while again:
        again = False
        for i in range(n):
            p = &w.packet[i]
            if p.outcome == VERDICT_PENDING:
                again |= answer_prefetch(snap, &p.request, &p.query)
    for i in range(n):
        p = &w.packet[i]
        if p.outcome == VERDICT_PENDING:
            p.outcome = answer_end(snap, w.state, &p.request, &p.query, &record[i])


cdef inline void send_group(worker *w, const xdp_desc *rx, tx_record *record,
                            uint32_t n) noexcept nogil:
    """Counts ``n`` outcomes; replies go on the TX ring, the frames of the others are free."""
    cdef xdp_desc *first = ring_desc(&w.xsk.tx, w.xsk.tx.at)
    cdef xdp_desc *tx = first
    cdef packet *p
    cdef uint32_t i
    cdef verdict v

    for i in range(n):
        p = &w.packet[i]
        v = <verdict>p.outcome
        w.stats.verdict[v] += 1
        if verdict_answers(v):
            tx.addr, tx.options = rx[i].addr, 0
            tx.len = frame_turn(&p.frame, &p.request)
            if p.request.service == SERVICE_ntp:
                await_stamp(w, p, &record[i], w.batch_index + <uint32_t>(tx - first))
            if w.wants_tx_timestamp:
                request_timestamp(w, tx, &p.request, &record[i])
            tx += 1
        else:
            w.xsk.free[w.xsk.free_count] = xsk_chunk(rx[i].addr)
            w.xsk.free_count += 1
    w.xsk.tx.at += <uint32_t>(tx - first)
    w.batch_index += <uint32_t>(tx - first)


cdef inline void await_stamp(worker *w, const packet *p, tx_record *record,
                             uint32_t batch_index) noexcept nogil:
    """An NTP reply is complete only once ``stamp_batch`` has given it its transmit time."""
    record.payload, record.sum, record.completion = p.request.payload, p.frame.sum, NULL
    record.batch_index = batch_index
    w.pending_tx[w.pending_tx_count] = record
    w.pending_tx_count += 1


cdef inline void request_timestamp(worker *w, xdp_desc *d, const request *rq,
                                   tx_record *record) noexcept nogil:
    """Asks the kernel when an NTP reply leaves."""
    cdef uint8_t *data = w.xsk.umem + d.addr

    if rq.service == SERVICE_ntp:
        d.options = XSK_TX_METADATA
        record.completion = tx_request_timestamp(data, rq.payload)
    else:
        tx_skip_timestamp(data)


cdef void stamp_batch(worker *w, const snapshot *snap, uint32_t n) noexcept nogil:
    """Completes a batch of ``n`` frames with the transmit times of NTP replies; the kick is next.
    """
    if w.pending_tx_count:
        tx_stamp_batch(w.state, w.pending_tx, w.pending_tx_count)
    if snap.latency or w.capture is not NULL:
        worker_observe(w, snap, n)
    w.pending_tx_count = w.batch_index = 0


cdef inline void reap(worker *w, const snapshot *snap) noexcept nogil:
    """Reclaims the frames that were sent, and learns their transmit times."""
    cdef uint32_t n = xsk_completed(w.xsk), i

    if w.wants_tx_timestamp:
        for i in range(n):
            tx_process_completion(
                w.state,
                w.xsk.umem + ring_address(&w.xsk.completion, w.xsk.completion.at + i)[0],
                &snap.phc,
                w.clock.tai_offset_s,
            )
    xsk_reap(w.xsk, n)


cdef inline uint32_t room(uint64_t address) noexcept nogil:
    """The bytes from an address to the end of its chunk."""
    return XDPKIT_CHUNK - <uint32_t>(address & (XDPKIT_CHUNK - 1))


cdef void wait(worker *w, const snapshot *snap) noexcept nogil:
    """Sleeps until there is work; kicks again soon where the kernel left frames on the TX ring."""
    cdef bint pending = ring_untaken(&w.xsk.tx) > 0

    if pending:
        w.stats.kicks += xsk_kick(w.xsk)
        pending = ring_untaken(&w.xsk.tx) > 0
    reap(w, snap)
    xsk_refill(w.xsk, 0)
    if w.busy:
        # No work: with busy polling this runs the device's receive processing in this thread.
        worker_poll_device(w.xsk.fd)
        return
    # Offline before blocking: the publisher must not wait for a sleeping thread.
    qsbr_offline(w.reader)
    w.stats.waits += 1
    clock_expire(&w.clock)
    if pending:
        # Not on the socket: in copy mode poll() sends too, and does not tell what it drops.
        worker_wait(-1, w.thread.wake_fd, WORKER_FLUSH_MS)
    else:
        worker_wait(w.xsk.fd, w.thread.wake_fd, WORKER_WAIT_MS)


cdef void flush(worker *w) noexcept nogil:
    """The last kicks before the thread ends; gives up if the TX ring is not empty after 100 ms."""
    cdef int _

    for _ in range(100):
        if ring_untaken(&w.xsk.tx) == 0:
            break
        w.stats.kicks += xsk_kick(w.xsk)
        worker_wait(-1, -1, WORKER_FLUSH_MS)


cdef void *entry(void *argument) noexcept nogil:
    cdef worker *w = <worker *>argument

    thread_begin(&w.thread, SANDBOX_RING)
    serve(w)
    thread_end(&w.thread)
    return NULL


@cython.no_gc_clear
cdef class Worker(Thread):
    """The thread that serves one queue: started once, stopped once.

    Owns the socket's rings until ``join`` has returned; reads snapshots from ``shared``; ``state``
    belongs to this thread alone. ``cpu`` pins it (-1: any CPU); ``busy`` makes it spin instead of
    sleep; ``own_clock`` takes receive times from its own clock, as it must where the XDP program
    stamps no frames; ``transmit`` says where the true transmit times of its replies come from
    (TRANSMIT_SOURCES). The socket must be in the XSKMAP for anything to arrive.
    """

    def __cinit__(self, XskSocket socket not None, SharedSnapshot shared not None,
                  ThreadState state not None, int cpu=-1, bint busy=False, bint own_clock=False,
                  str transmit="kick"):
        self.socket, self.shared, self.state = socket, shared, state
        self.c = <worker *>aligned_alloc(64, (sizeof(worker) + 63) & ~<size_t>63)
        if self.c is NULL:
            raise MemoryError()
        memset(self.c, 0, sizeof(worker))
        self.c.xsk = socket.c
        self.c.qsbr = shared.c
        self.c.state = state.c
        # A kernel without TX metadata reports no transmit times.
        state.c.transmit.source = TRANSMIT_SOURCES.index(transmit) if socket.tx_metadata else 0
        self.c.wants_tx_timestamp = state.c.transmit.source != TRANSMIT_KICK
        self.c.busy = busy
        self.c.own_clock = own_clock
        state.c.thread = socket.queue
        self._prepare(&self.c.thread, &self.c.stats, cpu)

    def start(self):
        """Puts every frame on the fill ring and starts the thread. Raises OSError."""
        self.c.reader = self._borrow(self.shared)
        # Here, not in the thread, which may first run after the first frame has arrived.
        xsk_refill(self.c.xsk, 0)
        self._spawn(f"xdpkit-q{self.socket.queue}", entry, self.c)

    def park(self):
        """Tells the thread to end after this turn; returns immediately.

        Received frames stay on the rings for a worker that takes the socket over, in this process
        or, by ``XskSocket.adopt``, in another.
        """
        thread_send_order(self.t, THREAD_PARK)

    def counters(self):
        """A copy of the thread's counters (``runtime/stats.h``), and of what its socket counts.

        ``rx_pending`` and ``tx_pending`` are the levels of its rings; ``tx_lost`` are replies that
        the kernel took from the TX ring and dropped, over all workers that the socket has had.
        """
        cdef bint there = self.c.xsk.fd >= 0
        counters = stats_dict(&self.c.stats)
        # The rings are gone with the socket.
        counters["rx_pending"] = ring_level(&self.c.xsk.rx) if there else 0
        counters["tx_pending"] = ring_level(&self.c.xsk.tx) if there else 0
        # With zero-copy, EBUSY is the driver's, and of no frame.
        counters["tx_lost"] = 0 if self.socket.zerocopy else self.c.xsk.tx_lost
        return counters

    def __dealloc__(self):
        self._finish()
        free(self.c)
