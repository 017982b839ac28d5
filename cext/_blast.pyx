# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""The AF_XDP load generator: sends requests from one queue and judges every reply (``blast.h``).

With a window, requests in flight are bounded, so that a run goes as fast as the server answers and
loses nothing on the way; with a rate it is an open loop.
"""

from libc.stdlib cimport free
from libc.string cimport memcpy, memset

import array
import secrets

from xdpkit.cext._memory cimport clock_ns
from xdpkit.cext._stats cimport SERVICE_dns, SERVICE_echo, XDPKIT_HEADROOM
from xdpkit.cext._stats import SERVICES
from xdpkit.cext._xsk cimport (
    ring_desc, ring_peek, ring_publish, ring_release, ring_untaken, xdp_desc, xsk,
    xsk_chunk, xsk_completed, xsk_kick, xsk_reap, xsk_refill,
)

cdef extern from *:
    """
    #include <poll.h>
    #include <stdlib.h>

    static void blast_wait(int fd, int ms)
    {
        struct pollfd p = {fd, POLLIN, 0};

        poll(&p, 1, ms);
    }
    """
    void blast_wait(int fd, int ms) nogil
    void *aligned_alloc(size_t alignment, size_t size) nogil
    enum:
        CLOCK_MONOTONIC

cdef enum:
    BATCH = 64
    # Frames kept for sending, half of XSK_FRAMES; the rest receives.
    SEND_FRAMES = 2048
    # How often requests are looked through for those to give up, nanoseconds.
    EXPIRE_NS = 10_000_000
    # Requests a second above which the next one is due before a sleep of 1 ms would end.
    SPIN_RATE = 1000


cdef struct limits:
    uint64_t end_ns
    uint64_t quiet_ns
    uint64_t count
    uint64_t rate
    uint64_t window


cdef void turn(blast *b, xsk *x, const limits *l, uint64_t started_ns,
               uint64_t paced) noexcept nogil:
    """Sends and receives until time is up, or the count is sent and nothing is open or comes."""
    cdef uint64_t now = clock_ns(CLOCK_MONOTONIC)
    cdef uint64_t heard_ns = now, expired_ns = now
    cdef uint32_t received, sent

    # Before the first kick: a reply that finds the fill ring empty is dropped.
    xsk_refill(x, SEND_FRAMES)
    while True:
        xsk_reap(x, xsk_completed(x))
        received = receive_batch(b, x, now)
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
            blast_expire(b, now)
            expired_ns = now
        if received == 0 and sent == 0:
            # Between two requests of a rate it spins: sleeping until a reply comes would let the
            # server's pace decide when the next one leaves.
            if l.rate < SPIN_RATE or b.sent >= l.count:
                blast_wait(x.fd, 1)
            now = clock_ns(CLOCK_MONOTONIC)


cdef inline uint64_t allowed(const blast *b, const limits *l, uint64_t now, uint64_t started_ns,
                             uint64_t paced) noexcept nogil:
    """How many requests may leave now: within the count, the window, the rate and a batch."""
    cdef uint64_t n = l.count - b.sent if l.count > b.sent else 0
    cdef uint64_t due

    if l.window:
        n = min(n, l.window - b.open if l.window > b.open else 0)
    if l.rate:
        due = paced + <uint64_t>((now - started_ns) * 1e-9 * l.rate)
        n = min(n, due - b.sent if due > b.sent else 0)
    return min(n, <uint64_t>BATCH)


cdef inline uint32_t receive_batch(blast *b, xsk *x, uint64_t now) noexcept nogil:
    cdef uint32_t i, n = ring_peek(&x.rx, BATCH)
    cdef xdp_desc *d

    if n == 0:
        return 0
    for i in range(n):
        d = ring_desc(&x.rx, x.rx.at + i)
        blast_reply(b, x.umem + d.addr, d.len, now)
        x.free[x.free_count] = xsk_chunk(d.addr)
        x.free_count += 1
    x.rx.at += n
    ring_release(&x.rx)
    return n


cdef inline uint32_t send_batch(blast *b, xsk *x, uint64_t most, uint64_t now) noexcept nogil:
    cdef uint32_t _, n = <uint32_t>min(most, <uint64_t>x.free_count)
    cdef xdp_desc *d

    for _ in range(n):
        d = ring_desc(&x.tx, x.tx.at)
        x.tx.at += 1
        x.free_count -= 1
        d.addr = x.free[x.free_count] + XDPKIT_HEADROOM
        d.options = 0
        d.len = blast_request(b, x.umem + d.addr, now)
    if n:
        ring_publish(&x.tx)
    return n


cdef class Generator:
    """Sends requests of one service from a socket and counts what comes back.

    ``header`` is Ethernet, tags, IP and UDP header of a request as bytes, lengths and checksums
    left 0, with the IP header at offset ``ip_at``; source addresses run over ``addresses`` from the
    header's on, source ports over ``ports`` from ``first_port`` on. ``queries`` are DNS messages of
    at most 512 bytes with id 0, sent in turn; ``echo_bytes`` is an echo's payload. With ``shared``,
    replies to other ports are another generator's on the same socket, and ignored. The socket's
    queue must be in a ``catch`` program's XSKMAP. Not for two threads.
    """

    def __cinit__(self, *args, **kwargs):
        self.c = <blast *>aligned_alloc(64, (sizeof(blast) + 63) & ~<size_t>63)
        if self.c is NULL:
            raise MemoryError()
        memset(self.c, 0, sizeof(blast))

    def __init__(self, XskSocket socket not None, str service not None, bytes header not None,
                 int ip_at, int first_port, int ports=1, queries=(), int echo_bytes=48,
                 uint32_t addresses=1, bint shared=False):
        cdef const unsigned int[:] offsets
        self.socket = socket
        self.c.service = SERVICES[service]
        self.c.header_bytes, self.c.ip_at = len(header), ip_at
        memcpy(self.c.header, <const char *>header, len(header))
        self.c.ip_version = header[ip_at] >> 4
        if ports < 1 or addresses < 1:
            raise ValueError("at least one source port and one source address")
        self.c.first_port, self.c.ports, self.c.addresses = first_port, ports, addresses
        self.c.shared = shared
        self.c.key = secrets.randbits(64)
        if self.c.service == SERVICE_dns and not queries:
            raise ValueError("dns needs queries")
        if max((len(query) for query in queries), default=echo_bytes) > BLAST_PAYLOAD:
            raise ValueError(f"a request of more than {BLAST_PAYLOAD} bytes")
        if self.c.service == SERVICE_echo and not 8 <= echo_bytes <= BLAST_PAYLOAD:
            raise ValueError(f"an echo of {echo_bytes} bytes: 8 to {BLAST_PAYLOAD} will do")
        self.c.echo_bytes = echo_bytes
        if queries:
            at = [0]
            for query in queries:
                at.append(at[-1] + len(query))
            self.queries, self.query_at = b"".join(queries), array.array("I", at)
            offsets = self.query_at
            self.c.queries = <const uint8_t *><const char *>self.queries
            self.c.query_at = &offsets[0]
            self.c.query_count = len(queries)

    def run(self, double seconds, uint64_t count=0, uint64_t rate=0, uint64_t window=1024,
            double quiet=3600, bint resume=False):
        """Works for ``seconds``, or until ``count`` requests in all are sent and answered or lost.

        ``rate`` is requests a second, 0 as fast as the window allows; ``window`` bounds what is
        open, 0 for no bound. With ``count``, what is open is waited for until nothing has come for
        ``quiet`` seconds. To be called again to go on; with ``resume`` the rate is kept since the
        last call without it. Other Python threads run meanwhile.
        """
        cdef limits l
        cdef uint64_t now = clock_ns(CLOCK_MONOTONIC)
        if not rate and not window:
            raise ValueError("neither a rate nor a window: nothing would bound what is sent")
        l.end_ns = now + <uint64_t>(seconds * 1e9)
        l.quiet_ns = <uint64_t>(quiet * 1e9)
        l.count = count if count else <uint64_t>-1
        l.rate = rate
        l.window = min(window, <uint64_t>BLAST_WINDOW)
        if not resume:
            self.paced_ns, self.paced = now, self.c.sent
        with nogil:
            turn(self.c, self.socket.c, &l, self.paced_ns, self.paced)

    def finish(self, double seconds=1.0, double quiet=3600):
        """Waits for what is still open, at most ``seconds`` or until nothing has come for ``quiet``
        seconds, and counts the rest as lost."""
        self.run(seconds, count=self.c.sent or 1, rate=1, quiet=quiet)
        blast_expire(self.c, <uint64_t>-1)

    def clear(self):
        """Sets the counters and the histogram to zero; what is open stays open."""
        self.c.sent = self.c.answered = self.c.wrong = self.c.duplicate = 0
        self.c.lost = self.c.late = self.c.slowest_ns = 0
        memset(self.c.histogram, 0, BLAST_BUCKETS * sizeof(uint64_t))

    def counters(self):
        """Requests and replies so far: sent, answered, wrong, duplicate, lost, late, open.

        ``late`` are right replies to requests that had been given up, which count as lost.
        """
        return {
            "sent": self.c.sent,
            "answered": self.c.answered,
            "wrong": self.c.wrong,
            "duplicate": self.c.duplicate,
            "lost": self.c.lost,
            "late": self.c.late,
            "open": self.c.open,
        }

    def latency_ns(self, double percentile):
        """The latency in nanoseconds that ``percentile`` (0 to 100) of the answers did not exceed.

        From a histogram of 64 buckets to a power of two: the bucket's upper end, or the slowest
        answer where that is less. 0 without answers.
        """
        cdef uint64_t seen = 0, end
        cdef int i, bits = BLAST_BUCKET_BITS, buckets = 1 << BLAST_BUCKET_BITS
        wanted = self.c.answered * percentile / 100
        for i in range(bits << bits, BLAST_BUCKETS):
            seen += self.c.histogram[i]
            if seen and seen >= wanted:
                end = <uint64_t>(buckets + i % buckets + 1) << (i // buckets - bits)
                return min(end, self.c.slowest_ns)
        return 0

    def __dealloc__(self):
        free(self.c)
