from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from xdpkit.cext._answer cimport dns_query, frame, request
from xdpkit.cext._snapshot cimport Publisher, qsbr, qsbr_reader, snapshot
from xdpkit.cext._stats cimport stats
from xdpkit.cext._thread cimport Thread, thread
from xdpkit.cext._xsk cimport XskSocket, xsk

cdef extern from "worker.h" nogil:
    cdef struct batch_clock:
        uint64_t utc_ns
        uint64_t tai_ns
        int64_t tai_offset_s
        bint trust_stamps
    cdef struct worker:
        stats stats
        xsk *xsk
        qsbr *qsbr
        qsbr_reader *reader
        batch_clock clock
        request request[0]
        frame frame[0]
        dns_query query[0]
        uint8_t outcome[0]
        bint busy
        uint32_t unstamped
        uint8_t *stamp_udp[0]
        thread thread
    enum:
        WORKER_BATCH
        WORKER_GROUP
        WORKER_WAIT_MS
        WORKER_FLUSH_MS
    uint64_t clock_ns(int clock)
    void clock_read(batch_clock *clock)
    uint64_t clock_arrival(const batch_clock *clock, const uint8_t *data, stats *s)

# For bench --offwire, which runs them on rings of its own.
cdef void answer_batch(worker *w, const snapshot *snap, uint32_t n) noexcept nogil
cdef void stamp_batch(worker *w) noexcept nogil


cdef class Worker(Thread):
    cdef worker *c
    cdef readonly XskSocket socket
    cdef readonly Publisher publisher
