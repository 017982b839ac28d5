# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""The load generator's requests and its checks of replies (``loadgen/loadgen.h``), owned by Python.

``_loadgen`` sends and receives them; without a socket, a request is a frame as bytes, and so is its
reply.
"""

from libc.stdlib cimport free
from libc.string cimport memcpy, memset

import array
import secrets

from xdpkit._core._stats cimport SERVICE_dns, SERVICE_echo, SERVICE_ntp, XDPKIT_MAX_FRAME
from xdpkit._core._stats import SERVICES

cdef extern from *:
    """
    #include <stdlib.h>
    """
    void *aligned_alloc(size_t alignment, size_t size) nogil

# By enum loadgen_judgment.
JUDGMENTS = ("right", "wrong", "duplicate", "late", "stray")

# RFC 5905 figure 8: the header, and the transmit timestamp that ends it.
cdef enum:
    NTP_BYTES = 48
    NTP_TRANSMIT = 40


cdef class Requests:
    """Requests of one service, each with a unique mark, and which of them are open.

    ``header`` is the Ethernet, VLAN, IP and UDP headers of a request as bytes, with lengths and
    checksums 0 and the IP header at offset ``ip_at``; source addresses cover ``addresses`` from the
    header's on, source ports ``ports`` from ``first_port`` on. ``queries`` are payloads of at most
    512 bytes, sent in turn: DNS messages with ID 0, or NTP requests (with a MAC, for instance)
    whose transmit timestamps count up by one; ``echo_bytes`` is the size of an echo's payload.
    ``clients`` is the number of clients in NTP's interleaved mode, at most 65536, 0 for plain
    requests. With ``shared``, replies to other ports belong to another load generator and are
    ignored.
    """

    def __cinit__(self, *args, **kwargs):
        self.c = <loadgen *>aligned_alloc(64, (sizeof(loadgen) + 63) & ~<size_t>63)
        if self.c is NULL:
            raise MemoryError()
        memset(self.c, 0, sizeof(loadgen))

    def __init__(self, str service not None, bytes header not None, int ip_at, int first_port,
                 int ports=1, queries=(), int echo_bytes=48, uint32_t addresses=1,
                 bint shared=False, uint32_t clients=0):
        self.c.service = SERVICES[service]
        self.c.header_bytes, self.c.ip_at = len(header), ip_at
        memcpy(self.c.header, <const char *>header, len(header))
        self.c.ip_version = header[ip_at] >> 4
        if ports < 1 or addresses < 1:
            raise ValueError("at least one source port and one source address are needed")
        self.c.first_port, self.c.ports, self.c.addresses = first_port, ports, addresses
        self.c.shared = shared
        self.c.key = secrets.randbits(64)
        if self.c.service == SERVICE_echo and not 8 <= echo_bytes <= LOADGEN_PAYLOAD:
            raise ValueError(f"an echo of {echo_bytes} bytes: 8 to {LOADGEN_PAYLOAD} are possible")
        self.c.echo_bytes = echo_bytes
        if clients > LOADGEN_WINDOW or clients and (self.c.service != SERVICE_ntp or queries):
            raise ValueError(f"clients are for plain NTP requests, at most {LOADGEN_WINDOW}")
        loadgen_clients_open(&self.c.clients, clients)
        self._take_queries(queries)

    def _take_queries(self, queries):
        cdef const unsigned int[:] offsets
        if self.c.service == SERVICE_dns and not queries:
            raise ValueError("dns needs queries")
        if self.c.service == SERVICE_echo and queries:
            raise ValueError("queries are for dns and ntp")
        if max((len(query) for query in queries), default=0) > LOADGEN_PAYLOAD:
            raise ValueError(f"a request of more than {LOADGEN_PAYLOAD} bytes does not fit")
        if self.c.service == SERVICE_ntp:
            check_marks(queries)
        at = [0]
        for query in queries:
            at.append(at[-1] + len(query))
        self.queries, self.query_at = b"".join(queries), array.array("I", at)
        offsets = self.query_at
        self.c.queries = <const uint8_t *><const char *>self.queries
        self.c.query_at = &offsets[0]
        self.c.query_count = len(queries)

    def request(self, uint64_t now_ns):
        """The next request as a frame, sent at ``now_ns`` of any clock (not 0).

        Raises ValueError when every interleaved client is waiting for its reply.
        """
        cdef uint8_t frame[XDPKIT_MAX_FRAME]
        if self.c.clients.count and not self.ready:
            raise ValueError("every interleaved client is waiting for its reply")
        return frame[:loadgen_request(self.c, frame, now_ns)]

    def reply(self, bytes frame not None, uint64_t now_ns, uint64_t arrived_ns=0):
        """Checks a frame that arrived at ``now_ns`` of that clock and ``arrived_ns`` of UTC, and
        counts it; returns one of ``JUDGMENTS``."""
        cdef uint8_t copy[XDPKIT_MAX_FRAME]
        if len(frame) > XDPKIT_MAX_FRAME:
            raise ValueError(f"a frame of {len(frame)} bytes: at most {XDPKIT_MAX_FRAME} fit")
        memcpy(copy, <const char *>frame, len(frame))
        return JUDGMENTS[loadgen_reply(self.c, copy, len(frame), now_ns, arrived_ns)]

    def expire(self, uint64_t now_ns):
        """Gives up on requests that have been open for a second at ``now_ns``."""
        loadgen_expire(self.c, now_ns)

    def watch_versions(self):
        """From now on a DNS reply is right if all of its records have the same TTL, and it need not
        have an answer: each zone version has its own TTL, so no reply may mix two versions."""
        if self.c.service != SERVICE_dns:
            raise ValueError("only DNS zones have versions")
        self.c.versioned = True

    @property
    def version(self):
        """The TTL of the last right reply, 0 before the first."""
        return self.c.version

    @property
    def versions(self):
        """How often a reply's TTL differed from that of the previous reply."""
        return self.c.versions

    @property
    def ready(self):
        """How many interleaved clients may send a request now."""
        return loadgen_clients_ready(&self.c.clients)

    def clear(self):
        """Resets the counters and histograms; open requests stay open."""
        cdef loadgen_clients *clients = &self.c.clients
        self.c.sent = self.c.answered = self.c.wrong = self.c.duplicate = 0
        self.c.lost = self.c.late = 0
        clients.basic = clients.interleaved = clients.same = clients.later = clients.earlier = 0
        memset(&self.c.latency, 0, sizeof(loadgen_times))
        memset(&clients.underway, 0, sizeof(loadgen_times))

    def counters(self):
        """Requests and replies so far: sent, answered, wrong, duplicate, lost, late, open.

        ``late`` counts right replies to requests that were given up on, which also count as lost.
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

    def interleaved(self):
        """Right replies by mode, and how well transmit timestamps match the true transmit times.

        ``same``, ``later`` and ``earlier``: for basic replies whose transmit time the next reply
        reported, how that compares to the transmit timestamp they carried themselves.
        """
        cdef const loadgen_clients *clients = &self.c.clients
        return {
            "clients": clients.count,
            "basic": clients.basic,
            "interleaved": clients.interleaved,
            "same": clients.same,
            "later": clients.later,
            "earlier": clients.earlier,
        }

    def latency_ns(self, double percentile):
        """The latency in nanoseconds that ``percentile`` (0 to 100) of the replies did not exceed,
        at most 1.6 % too high; 0 without replies."""
        return loadgen_times_percentile(&self.c.latency, percentile)

    def underway_ns(self, double percentile):
        """The same for the time from a reply's transmit time, as the server told, to arrival."""
        return loadgen_times_percentile(&self.c.clients.underway, percentile)

    def __dealloc__(self):
        free(self.c)


cdef object check_marks(queries):
    """Raises ValueError unless each is an NTP request with consecutive transmit timestamps."""
    first = None
    for number, query in enumerate(queries):
        if len(query) < NTP_BYTES:
            raise ValueError(f"an NTP request of {len(query)} bytes: {NTP_BYTES} are needed")
        mark = int.from_bytes(query[NTP_TRANSMIT:NTP_BYTES], "big")
        first = mark if first is None else first
        if mark != (first + number) % 2**64:
            raise ValueError("the transmit timestamps of NTP requests must count up by one")
