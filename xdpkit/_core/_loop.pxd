from libc.stdint cimport uint8_t, uint32_t, uint64_t

from xdpkit._core._answer cimport frame, query, request
from xdpkit._core._thread_state cimport Memory, batch_clock, departure, memory
from xdpkit._core._snapshot cimport Publisher, phc_map, qsbr, qsbr_reader, snapshot
from xdpkit._core._stats cimport stats
from xdpkit._core._thread cimport Thread, thread
from xdpkit._core._xsk cimport XskSocket, xsk

cdef extern from "xdp/worker.h" nogil:
    cdef struct worker:
        stats stats
        xsk *xsk
        qsbr *qsbr
        qsbr_reader *reader
        memory *memory
        batch_clock clock
        request request[0]
        frame frame[0]
        query query[0]
        departure departure[0]
        departure *leaving[0]
        uint8_t outcome[0]
        bint busy
        bint asks
        bint own_clock
        uint8_t place
        uint8_t waiting
        thread thread
    enum:
        WORKER_BATCH
        WORKER_GROUP
        WORKER_WAIT_MS
        WORKER_FLUSH_MS
    uint64_t clock_arrival(worker *w, const phc_map *phc, const uint8_t *data)

# For bench --offwire, which runs them on rings of its own.
cdef void answer_batch(worker *w, const snapshot *snap, uint32_t n) noexcept nogil
cdef void stamp_batch(worker *w) noexcept nogil


cdef class Worker(Thread):
    cdef worker *c
    cdef readonly XskSocket socket
    cdef readonly Publisher publisher
    cdef readonly Memory memory
