# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""The AF_XDP load generator: sends requests from one queue and checks each reply.

``loadgen/loadgen.h`` has the C side. With a window, the requests in flight are bounded, so that a
run goes as fast as the server answers and loses nothing on the way; with a rate it is an open loop.
Interleaved clients bound it too: each has at most one request in flight.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from xdpkit._core._thread_state cimport batch_clock, clock_ns, clock_read
from xdpkit._core._requests cimport (
    LOADGEN_WINDOW, Requests, loadgen, loadgen_clients_ready, loadgen_expire, loadgen_reply,
    loadgen_request,
)
from xdpkit._core._stats cimport XDPKIT_HEADROOM
from xdpkit._core._xsk cimport (
    ring_desc, ring_peek, ring_publish, ring_release, ring_untaken, xdp_desc, xsk,
    xsk_chunk, xsk_completed, xsk_kick, xsk_reap, xsk_refill,
)

cdef extern from *:
    """
    #include <poll.h>
    #include "runtime/clock.h"
    #include "steer.h"

    /* When the XDP program saw a frame, in UTC, from the receive stamp in front of it. */
    static uint64_t loadgen_arrived(const uint8_t *frame, const struct batch_clock *clock)
    {
        struct steer_meta meta;

        memcpy(&meta, frame - sizeof meta, sizeof meta);
        return meta.rx_tai_ns - (uint64_t)(clock->tai_offset_s * CLOCK_SECOND_NS);
    }
    static void loadgen_wait(int fd, int ms)
    {
        struct pollfd p = {fd, POLLIN, 0};

        poll(&p, 1, ms);
    }
    """
    uint64_t loadgen_arrived(const uint8_t *frame, const batch_clock *clock) nogil
    void loadgen_wait(int fd, int ms) nogil
    enum:
        CLOCK_MONOTONIC

cdef enum:
    BATCH = 64
    # Frames reserved for sending, half of XSK_FRAMES; the rest is for receiving.
    SEND_FRAMES = 2048
    # How often open requests are checked for timeouts, nanoseconds.
    EXPIRE_NS = 10_000_000
    # Requests per second above which the next is due before a sleep of 1 ms would end.
    SPIN_RATE = 1000


cdef struct limits:
    uint64_t end_ns
    uint64_t quiet_ns
    uint64_t count
    uint64_t rate
    uint64_t window


cdef void turn(loadgen *b, xsk *x, const limits *l, uint64_t started_ns,
               uint64_t paced) noexcept nogil:
    """Sends and receives until time is up, or the count is sent and nothing is open or arrives."""
    cdef uint64_t now = clock_ns(CLOCK_MONOTONIC)
    cdef uint64_t heard_ns = now, expired_ns = now
    cdef uint32_t received, sent
    cdef batch_clock clock

    memset(&clock, 0, sizeof(clock))
    # Before the first kick: a reply that finds the fill ring empty is dropped.
    xsk_refill(x, SEND_FRAMES)
    while True:
        xsk_reap(x, xsk_completed(x))
        received = receive_batch(b, x, now, &clock)
        sent = send_batch(b, x, allowed(b, l, now, started_ns, paced), now)
        if ring_untaken(&x.tx):
            xsk_kick(x)
        xsk_refill(x, SEND_FRAMES)
        now = clock_ns(CLOCK_MONOTONIC)
        if received or sent:
            heard_ns = now
        if now >= l.end_ns:
            return
        if b.sent >= l.count and (b.open == 0 or now - heard_ns >= l.quiet_ns):
            return
        if now - expired_ns >= EXPIRE_NS:
            loadgen_expire(b, now)
            expired_ns = now
        if received == 0 and sent == 0:
            # Spins between the requests of a rate: sleeping until a reply arrives would let the
            # server's pace decide when the next request is sent.
            if l.rate < SPIN_RATE or b.sent >= l.count:
                loadgen_wait(x.fd, 1)
            now = clock_ns(CLOCK_MONOTONIC)


cdef inline uint64_t allowed(const loadgen *b, const limits *l, uint64_t now, uint64_t started_ns,
                             uint64_t paced) noexcept nogil:
    """How many requests may be sent now: within the count, the window, the rate and a batch."""
    cdef uint64_t n = l.count - b.sent if l.count > b.sent else 0
    cdef uint64_t due

    if l.window:
        n = min(n, l.window - b.open if l.window > b.open else 0)
    if b.clients.count:
        n = min(n, <uint64_t>loadgen_clients_ready(&b.clients))
    if l.rate:
        # A turn that begins late must not send what is due after the end.
        due = paced + <uint64_t>((min(now, l.end_ns) - started_ns) * 1e-9 * l.rate)
        n = min(n, due - b.sent if due > b.sent else 0)
    return min(n, <uint64_t>BATCH)


cdef inline uint32_t receive_batch(loadgen *b, xsk *x, uint64_t now,
                                   batch_clock *clock) noexcept nogil:
    cdef uint32_t i, n = ring_peek(&x.rx, BATCH)
    cdef uint64_t arrived_ns = 0
    cdef xdp_desc *d

    if n == 0:
        return 0
    if b.clients.count:
        clock_read(clock)
    for i in range(n):
        d = ring_desc(&x.rx, x.rx.at + i)
        if b.clients.count:
            arrived_ns = loadgen_arrived(x.umem + d.addr, clock)
        loadgen_reply(b, x.umem + d.addr, d.len, now, arrived_ns)
        x.free[x.free_count] = xsk_chunk(d.addr)
        x.free_count += 1
    x.rx.at += n
    ring_release(&x.rx)
    return n


cdef inline uint32_t send_batch(loadgen *b, xsk *x, uint64_t most, uint64_t now) noexcept nogil:
    cdef uint32_t _, n = <uint32_t>min(most, <uint64_t>x.free_count)
    cdef xdp_desc *d

    for _ in range(n):
        d = ring_desc(&x.tx, x.tx.at)
        x.tx.at += 1
        x.free_count -= 1
        d.addr = x.free[x.free_count] + XDPKIT_HEADROOM
        d.options = 0
        d.len = loadgen_request(b, x.umem + d.addr, now)
    if n:
        ring_publish(&x.tx)
    return n


cdef class Generator(Requests):
    """Sends requests from a socket and checks the replies; see ``Requests`` for the arguments.

    The socket's queue must be in the XSKMAP of a ``catch`` program, which must leave receive stamps
    for interleaved clients. Not thread-safe.
    """

    def __init__(self, XskSocket socket not None, *args, **kwargs):
        Requests.__init__(self, *args, **kwargs)
        self.socket = socket

    def run(self, double seconds, uint64_t count=0, uint64_t rate=0, uint64_t window=1024,
            double quiet=3600, bint resume=False):
        """Runs for ``seconds``, or until ``count`` requests in total are sent and answered or lost.

        ``rate`` is requests per second, 0 for as fast as the window allows; ``window`` bounds the
        open requests, 0 for no bound but the number of clients. With ``count``, open requests are
        waited for until nothing has arrived for ``quiet`` seconds. Call it again to continue; with
        ``resume`` the rate counts from the last call without it. It releases the GIL.
        """
        cdef limits l
        cdef uint64_t now = clock_ns(CLOCK_MONOTONIC)
        if not rate and not window and not self.c.clients.count:
            raise ValueError("neither a rate nor a window would bound what is sent: set one")
        l.end_ns = now + <uint64_t>(seconds * 1e9)
        l.quiet_ns = <uint64_t>(quiet * 1e9)
        l.count = count if count else <uint64_t>-1
        l.rate = rate
        l.window = min(window, <uint64_t>LOADGEN_WINDOW)
        if not resume:
            self.paced_ns, self.paced = now, self.c.sent
        with nogil:
            turn(self.c, self.socket.c, &l, self.paced_ns, self.paced)

    def finish(self, double seconds=1.0, double quiet=3600):
        """Waits for open requests, at most ``seconds`` or until nothing has arrived for ``quiet``
        seconds, and counts the rest as lost."""
        self.run(seconds, count=self.c.sent or 1, rate=1, quiet=quiet)
        loadgen_expire(self.c, <uint64_t>-1)
