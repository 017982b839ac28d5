from libc.stdint cimport uint8_t, uint32_t, uint64_t

from xdpkit._core._capture cimport capture_set
from xdpkit._core._answer cimport frame, query, request
from xdpkit._core._thread_state cimport ThreadState, batch_clock, tx_record, thread_state
from xdpkit._core._snapshot cimport SharedSnapshot, phc_map, qsbr, qsbr_reader, snapshot
from xdpkit._core._stats cimport stats, verdict
from xdpkit._core._thread cimport Thread, thread
from xdpkit._core._xsk cimport XskSocket, xdp_desc, xsk

cdef extern from "xdp/observe.h" nogil:
    cdef struct packet:
        request request
        frame frame
        uint8_t outcome
        query query
    cdef struct worker:
        stats stats
        xsk *xsk
        qsbr *qsbr
        qsbr_reader *reader
        thread_state *state
        batch_clock clock
        packet packet[0]
        tx_record tx_records[0]
        tx_record *pending_tx[0]
        bint busy
        bint wants_tx_timestamp
        bint own_clock
        const capture_set *capture
        uint8_t batch_index
        uint8_t pending_tx_count
        thread thread
    enum:
        WORKER_BATCH
        WORKER_GROUP
        WORKER_WAIT_MS
        WORKER_FLUSH_MS
    void worker_note_arrivals(worker *w, const xdp_desc *rx, uint32_t n)
    void worker_capture_request(worker *w, const snapshot *snap, const uint8_t *data,
                                uint32_t length, const packet *p, verdict v, uint32_t i)
    void worker_capture_batch(worker *w, const snapshot *snap, uint32_t n)
    void worker_capture_outcomes(worker *w, uint32_t first, uint32_t n)
    void worker_observe(worker *w, const snapshot *snap, uint32_t n)
    uint64_t clock_arrival(worker *w, const phc_map *phc, const uint8_t *data)

# For bench --offwire, which runs them on its own rings.
cdef void answer_batch(worker *w, const snapshot *snap, uint32_t n) noexcept nogil
cdef void stamp_batch(worker *w, const snapshot *snap, uint32_t n) noexcept nogil


cdef class Worker(Thread):
    cdef worker *c
    cdef readonly XskSocket socket
    cdef readonly SharedSnapshot shared
    cdef readonly ThreadState state
