# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Captures: filters, the rings that answering threads write, and their reader (``cext/capture``).

A session has a ring for each answering thread, in a memfd that its reader gets read-only, and a
second memfd into which the reader writes how far it has read. Both are sealed: nobody can change
their size, so that no thread can be killed by it.
"""

cimport cython
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import fcntl
import ipaddress
import os
from collections import deque
from typing import NamedTuple

cdef extern from * nogil:
    """
    #include <stdlib.h>
    #include <string.h>
    #include <sys/mman.h>
    #include "capture/capture.h"
    #include "capture/pcapng.h"
    #include "slowpath/local_address.h"

    static void *capture_map(size_t size, int protection, int flags, int fd)
    {
        void *p = mmap(NULL, size, protection, flags, fd, 0);

        return p == MAP_FAILED ? NULL : p;
    }
    static uint64_t load_acquire(const uint64_t *p)
    {
        return __atomic_load_n(p, __ATOMIC_ACQUIRE);
    }
    static void store_release(uint64_t *p, uint64_t value)
    {
        __atomic_store_n(p, value, __ATOMIC_RELEASE);
    }
    """
    void *capture_map(size_t size, int protection, int flags, int fd)
    int munmap(void *address, size_t size)
    uint64_t load_acquire(const uint64_t *p)
    void store_release(uint64_t *p, uint64_t value)
    void *aligned_alloc(size_t alignment, size_t size)
    int PROT_READ
    int PROT_WRITE
    int MAP_SHARED
    int MAP_POPULATE

cdef extern from "capture/pcapng.h" nogil:
    cdef struct pcapng_interface:
        uint32_t id
        char name[24]
    enum:
        PCAPNG_ROOM
    size_t pcapng_record(uint8_t *out, const capture_record *record,
                         const pcapng_interface *interface)

# The steps of a filter by name, in the order of enum capture_op.
OPERATIONS = (
    "and", "or", "not", "service", "client", "name", "below", "type", "thread", "rcode", "verdict",
    "answered",
)
FILTER_STEPS, FILTER_DEPTH = CAPTURE_FILTER_STEPS, CAPTURE_FILTER_DEPTH
FILTER_BYTES = CAPTURE_FILTER_BYTES
SESSIONS = CAPTURE_SESSIONS
# The numbers of the slow path's threads; a worker's is its RX queue.
UDP_THREAD, TCP_THREAD = CAPTURE_THREAD_UDP, CAPTURE_THREAD_TCP
# The kinds of records, enum capture_kind.
KINDS = ("pad", "frame", "udp", "tcp")

# linux/fcntl.h; F_SEAL_FUTURE_WRITE is Linux 5.1.
_SEAL_SIZE = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_SEAL_FUTURE_WRITE = 0x10


cdef class CaptureFilter:
    """A compiled filter: ``steps`` are (operation, bytes or None, value), without any it is all.

    Raises ValueError for a program that cannot be run.
    """

    def __init__(self, steps=()):
        cdef uint32_t used = 0, i
        if len(steps) > CAPTURE_FILTER_STEPS:
            raise ValueError(f"{len(steps)} steps: at most {CAPTURE_FILTER_STEPS} fit")
        for i, (operation, operand, value) in enumerate(steps):
            operand = operand or b""
            if used + len(operand) > CAPTURE_FILTER_BYTES or len(operand) > 255:
                raise ValueError("its names and addresses are too long")
            self.c.step[i].op = OPERATIONS.index(operation)
            self.c.step[i].at, self.c.step[i].length = used, len(operand)
            self.c.step[i].value = value
            memcpy(self.c.bytes + used, <const char *>operand, len(operand))
            used += len(operand)
        self.c.steps = len(steps)
        if not capture_filter_is_valid(&self.c):
            raise ValueError("it cannot be run")

    def run(self, *, bytes source=None, bytes message=b"", int service=0, int thread=0,
            int outcome=0, bytes reply=None):
        """Whether a packet is wanted: True, False, or None if its outcome decides that."""
        cdef capture_view view
        if source is not None and len(source) not in (4, 16):
            raise ValueError("an address has 4 or 16 bytes")
        view.source = NULL if source is None else <const uint8_t *><const char *>source
        view.ip_version = 4 if source is not None and len(source) == 4 else 6
        view.message, view.length = <const uint8_t *><const char *>message, len(message)
        view.service, view.thread, view.verdict = service, thread, outcome
        view.reply = NULL if reply is None else <const uint8_t *><const char *>reply
        view.reply_length = 0 if reply is None else len(reply)
        return (False, None, True)[capture_filter_run(&self.c, &view)]


cdef class CaptureScratch:
    """What one answering thread needs while there are captures. Raises MemoryError."""

    def __cinit__(self):
        self.c = <capture_scratch *>calloc(1, sizeof(capture_scratch))
        if self.c is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.c)


@cython.no_gc_clear
cdef class CaptureSession:
    """One capture: its filter, and a ring of ``ring_bytes`` (a power of two) for each thread.

    ``sample`` takes one in so many of those that match. ``records_fd`` and ``tails_fd`` are for
    the reader, and belong to this object. Raises OSError, MemoryError.
    """

    def __cinit__(self, CaptureFilter wanted not None, uint32_t sample, threads,
                  uint32_t ring_bytes):
        cdef size_t size = (sizeof(capture_session) + 63) & ~<size_t>63
        cdef uint32_t i
        cdef capture_ring *ring
        cdef uint8_t *at
        self.records_fd = self.tails_fd = -1
        if ring_bytes < (1 << 18) or ring_bytes & (ring_bytes - 1) or not sample:
            raise ValueError("a ring has a power of two of bytes, at least 256 KiB")
        self.threads, self.ring_bytes = tuple(threads), ring_bytes
        self.c = <capture_session *>aligned_alloc(64, size)
        if self.c is NULL:
            raise MemoryError()
        memset(self.c, 0, size)
        memcpy(&self.c.filter, &wanted.c, sizeof(capture_filter))
        self.c.sample = sample
        self.records_bytes = len(self.threads) * (CAPTURE_PAGE + <size_t>ring_bytes)
        self.tails_bytes = len(self.threads) * CAPTURE_TAIL_STEP
        self.records_fd = self._shared(self.records_bytes, _SEAL_FUTURE_WRITE, &self.records)
        self.tails_fd = self._shared(self.tails_bytes, 0, &self.tails)
        for i, thread in enumerate(self.threads):
            ring = &self.c.ring[<uint32_t>thread]
            at = self.records + i * (CAPTURE_PAGE + <size_t>ring_bytes)
            ring.shared, ring.bytes, ring.size = <capture_head *>at, at + CAPTURE_PAGE, ring_bytes
            ring.tail = <const uint64_t *>(self.tails + i * CAPTURE_TAIL_STEP)

    cdef int _shared(self, size_t size, int seals, uint8_t **to) except -1:
        """Memory for both processes, touched now: an answering thread takes no page fault."""
        cdef uint8_t *mapped
        fd = os.memfd_create("xdpkit-capture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, size)
            mapped = <uint8_t *>capture_map(
                size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd)
            if mapped is NULL:
                raise MemoryError()
            try:
                fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEAL_SIZE | seals)
            except OSError:
                munmap(mapped, size)
                raise
        except BaseException:
            os.close(fd)
            raise
        to[0] = mapped
        return fd

    def counts(self):
        """What all its threads have counted: ``struct capture_head`` without the position."""
        cdef capture_head *head
        counts = {"seen": 0, "matched": 0, "sampled": 0, "lost": 0}
        for thread in self.threads:
            head = self.c.ring[<uint32_t>thread].shared
            counts["seen"] += head.seen
            counts["matched"] += head.matched
            counts["sampled"] += head.sampled
            counts["lost"] += head.lost
        return counts

    def put(self, uint32_t thread, bytes request, bytes reply=b"", *, int outcome=1,
            int kind=CAPTURE_FRAME):
        """Writes a record as a thread does: for tests of the ring, without threads."""
        cdef capture_record record
        if thread >= CAPTURE_THREADS or self.c.ring[thread].shared is NULL:
            raise ValueError(f"there is no thread {thread}")
        memset(&record, 0, sizeof(record))
        record.kind, record.verdict, record.ip_version, record.thread = kind, outcome, 4, thread
        record.request, record.reply = len(request), len(reply)
        capture_ring_put(&self.c.ring[thread], &record, <const uint8_t *><const char *>request,
                         <const uint8_t *><const char *>reply)

    def __dealloc__(self):
        if self.records is not NULL:
            munmap(self.records, self.records_bytes)
        if self.tails is not NULL:
            munmap(self.tails, self.tails_bytes)
        for fd in (self.records_fd, self.tails_fd):
            if fd >= 0:
                os.close(fd)
        free(self.c)


cdef class CaptureSet:
    """The captures of a snapshot; ``scratch`` has a CaptureScratch for each thread by number."""

    def __cinit__(self, sessions, scratch):
        cdef uint32_t i
        if len(sessions) > CAPTURE_SESSIONS:
            raise ValueError(f"{len(sessions)} captures: at most {CAPTURE_SESSIONS} fit")
        self.c = <capture_set *>calloc(1, sizeof(capture_set))
        if self.c is NULL:
            raise MemoryError()
        self.sessions, self.scratch = tuple(sessions), dict(scratch)
        for i, session in enumerate(self.sessions):
            self.c.session[i] = (<CaptureSession?>session).c
        for thread, each in self.scratch.items():
            if not 0 <= thread < CAPTURE_THREADS:
                raise ValueError(f"there is no thread {thread}")
            self.c.scratch[<uint32_t>thread] = (<CaptureScratch?>each).c
        self.c.sessions = len(self.sessions)

    def __dealloc__(self):
        free(self.c)


class Record(NamedTuple):
    """A packet and its reply: ``kind`` is one of KINDS, ``outcome`` an enum verdict, ``payload``
    where the payload starts in ``request``; times are nanoseconds of UTC."""

    kind: str
    outcome: int
    service: int
    thread: int
    rx_ns: int
    tx_ns: int
    source: bytes
    port: int
    local: bytes
    local_port: int
    payload: int
    request: bytes
    reply: bytes


cdef class CaptureReader:
    """The other end of a session: ``interfaces`` maps its threads, in order, to their names.

    It keeps the descriptors. Raises OSError, MemoryError, ValueError for memory that is too small.
    """

    cdef uint8_t *records
    cdef uint8_t *tails
    cdef size_t records_bytes
    cdef size_t tails_bytes
    cdef uint32_t ring_bytes
    cdef uint32_t count
    cdef uint32_t next_ring
    cdef list fds
    cdef pcapng_interface *interface
    cdef uint64_t *at
    cdef uint8_t *blocks

    def __cinit__(self, int records_fd, int tails_fd, uint32_t ring_bytes, names):
        cdef uint32_t i
        self.fds = [records_fd, tails_fd]
        self.ring_bytes, self.count = ring_bytes, len(names)
        self.records_bytes = self.count * (CAPTURE_PAGE + <size_t>ring_bytes)
        self.tails_bytes = self.count * CAPTURE_TAIL_STEP
        if (os.fstat(records_fd).st_size != self.records_bytes
                or os.fstat(tails_fd).st_size != self.tails_bytes
                or ring_bytes < CAPTURE_PAGE or ring_bytes & (ring_bytes - 1)):
            raise ValueError("the capture's memory does not have the size that was said")
        self.records = <uint8_t *>capture_map(self.records_bytes, PROT_READ, MAP_SHARED, records_fd)
        self.tails = <uint8_t *>capture_map(
            self.tails_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, tails_fd)
        self.interface = <pcapng_interface *>calloc(self.count, sizeof(pcapng_interface))
        self.at = <uint64_t *>calloc(self.count, sizeof(uint64_t))
        self.blocks = <uint8_t *>aligned_alloc(64, PCAPNG_ROOM)
        if (self.records is NULL or self.tails is NULL or self.interface is NULL
                or self.at is NULL or self.blocks is NULL):
            raise MemoryError()
        for i, name in enumerate(names):
            encoded = name.encode()[:sizeof(self.interface[i].name) - 1]
            self.interface[i].id = i
            memcpy(self.interface[i].name, <const char *>encoded, len(encoded))

    cdef capture_head *head(self, uint32_t ring):
        return <capture_head *>(
            self.records + ring * (CAPTURE_PAGE + <size_t>self.ring_bytes))

    cdef const capture_record *next_record(self, uint32_t ring) except? NULL:
        """Takes the next record of a ring, which stays until ``advance``; NULL: none."""
        cdef bint broken = False
        cdef capture_head *head = self.head(ring)
        cdef const capture_record *record = capture_ring_next(
            <uint8_t *>head + CAPTURE_PAGE, self.ring_bytes, load_acquire(&head.head),
            &self.at[ring], &broken)
        if broken:
            raise ValueError("the capture's memory holds no record where one should be")
        return record

    cdef void advance(self, uint32_t ring) noexcept:
        """The writer may use the space again."""
        store_release(<uint64_t *>(self.tails + ring * CAPTURE_TAIL_STEP), self.at[ring])

    def blocks_up_to(self, size_t size, uint64_t records):
        """Up to so many records as pcapng blocks, and their number: about ``size`` bytes."""
        cdef const capture_record *record
        cdef uint64_t taken = 0
        cdef size_t total = 0
        cdef uint32_t empty = 0
        parts = []
        while total < size and taken < records and empty < self.count:
            empty += 1
            # A few at a time, so that no ring waits for the others.
            for _ in range(256):
                record = self.next_record(self.next_ring) if taken < records else NULL
                if record is NULL:
                    break
                length = pcapng_record(self.blocks, record, &self.interface[self.next_ring])
                parts.append((<const char *>self.blocks)[:length])
                total += length
                taken += 1
                empty = 0
                if total >= size:
                    break
            self.advance(self.next_ring)
            self.next_ring = (self.next_ring + 1) % self.count
        return b"".join(parts), taken

    def take(self, uint64_t records):
        """Up to so many records, as Record objects."""
        cdef const capture_record *record
        cdef uint32_t ring
        cdef const char *after
        found = []
        for ring in range(self.count):
            while len(found) < records:
                record = self.next_record(ring)
                if record is NULL:
                    break
                after = <const char *>(record + 1)
                length = 4 if record.ip_version == 4 else 16
                found.append(Record(
                    KINDS[record.kind], record.verdict, record.service, record.thread,
                    record.rx_ns, record.tx_ns,
                    (<const char *>record.source)[:length], record.port,
                    (<const char *>record.local)[:length], record.local_port, record.payload,
                    after[:record.request],
                    after[record.request:record.request + record.reply]))
                self.advance(ring)
        return found

    def counts(self, uint32_t ring):
        """What the thread of one ring has counted: ``struct capture_head`` without the position."""
        cdef capture_head *head
        if ring >= self.count:
            raise ValueError(f"there is no ring {ring}")
        head = self.head(ring)
        return {"seen": head.seen, "matched": head.matched, "sampled": head.sampled,
                "lost": head.lost}

    def __dealloc__(self):
        if self.records is not NULL:
            munmap(self.records, self.records_bytes)
        if self.tails is not NULL:
            munmap(self.tails, self.tails_bytes)
        free(self.interface)
        free(self.at)
        free(self.blocks)
        for fd in self.fds or []:
            os.close(fd)


cdef class LocalNumbers:
    """Numbers of a listener's sockets, and their addresses in its table."""

    def __cinit__(self):
        self.free, self.taken = deque(range(1, LOCAL_ADDRESSES)), {}

    cdef uint16_t take(self, sock, local_address *table) except? 0:
        """A number for a socket, the one that has been free for longest; 0 if there is none."""
        cdef uint16_t number
        cdef bytes packed
        if not self.free:
            return 0
        host, port, *_ = sock.getsockname()
        packed = ipaddress.ip_address(host.partition("%")[0]).packed
        number = self.taken[sock.fileno()] = self.free.popleft()
        memcpy(table[number].address, <const char *>packed, len(packed))
        table[number].port = port
        return number

    cdef give_back(self, int fd):
        if fd in self.taken:
            self.free.append(self.taken.pop(fd))
