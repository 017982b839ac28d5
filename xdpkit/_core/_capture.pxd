from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from xdpkit._core._stats cimport verdict

cdef extern from "slowpath/local_address.h" nogil:
    cdef struct local_address:
        uint8_t address[16]
        uint16_t port
    enum:
        LOCAL_ADDRESSES

cdef extern from "capture/capture.h" nogil:
    cdef struct capture_step:
        uint8_t op
        uint8_t length
        uint16_t at
        uint32_t value
    cdef struct capture_filter:
        uint32_t steps
        capture_step step[0]
        uint8_t bytes[0]
    cdef struct capture_view:
        const uint8_t *source
        const uint8_t *message
        uint32_t length
        uint16_t thread
        uint8_t ip_version
        uint8_t service
        uint8_t verdict
        const uint8_t *reply
        uint32_t reply_length
    cdef struct capture_head:
        uint64_t head
        uint64_t seen
        uint64_t matched
        uint64_t sampled
        uint64_t lost
    cdef struct capture_record:
        uint8_t kind
        uint8_t verdict
        uint8_t service
        uint8_t ip_version
        uint64_t rx_ns
        uint64_t tx_ns
        uint32_t request
        uint32_t reply
        uint16_t port
        uint16_t local_port
        uint16_t payload
        uint16_t thread
        uint8_t source[16]
        uint8_t local[16]
    cdef struct capture_ring:
        capture_head *shared
        uint8_t *bytes
        const uint64_t *tail
        uint32_t size
    cdef struct capture_session:
        capture_filter filter
        uint32_t sample
        capture_ring ring[0]
    cdef struct capture_scratch:
        pass
    cdef struct capture_set:
        uint32_t sessions
        capture_session *session[0]
        capture_scratch *scratch[0]
    enum:
        CAPTURE_FILTER_STEPS
        CAPTURE_FILTER_DEPTH
        CAPTURE_FILTER_BYTES
        CAPTURE_FRAME
        CAPTURE_PAGE
        CAPTURE_SESSIONS
        CAPTURE_TAIL_STEP
        CAPTURE_THREADS
        CAPTURE_THREAD_TCP
        CAPTURE_THREAD_UDP
    bint capture_filter_is_valid(const capture_filter *f)
    int capture_filter_run(const capture_filter *f, const capture_view *v)
    void capture_ring_put(capture_ring *ring, capture_record *record, const uint8_t *request,
                          const uint8_t *reply)
    const capture_record *capture_ring_next(const uint8_t *bytes, uint32_t size, uint64_t head,
                                            uint64_t *at, bint *broken)
    const capture_set *capture_batch(const capture_set *s, uint32_t thread, uint32_t n)
    void capture_outcome(const capture_set *s, uint32_t thread, uint32_t i, verdict v,
                         const uint8_t *reply, uint32_t length)
    void capture_finish(const capture_set *s, uint32_t thread, uint32_t n, uint64_t tx_ns)


cdef class CaptureFilter:
    cdef capture_filter c


cdef class CaptureScratch:
    cdef capture_scratch *c


cdef class CaptureSession:
    cdef capture_session *c
    cdef uint8_t *records
    cdef uint8_t *tails
    cdef size_t records_bytes
    cdef size_t tails_bytes
    cdef readonly int records_fd
    cdef readonly int tails_fd
    cdef readonly uint32_t ring_bytes
    cdef readonly tuple threads
    cdef int _shared(self, size_t size, int seals, uint8_t **to) except -1


cdef class CaptureSet:
    cdef capture_set *c
    cdef readonly tuple sessions
    cdef dict scratch


cdef class LocalNumbers:
    cdef object free
    cdef dict taken
    cdef uint16_t take(self, sock, local_address *table) except? 0
    cdef give_back(self, int fd)
