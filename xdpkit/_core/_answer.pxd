from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from xdpkit._core._thread_state cimport tx_record, thread_state
from xdpkit._core._snapshot cimport snapshot
from xdpkit._core._stats cimport verdict

cdef extern from "service/answer.h" nogil:
    cdef struct request:
        uint8_t *payload
        uint32_t length
        uint32_t room
        const uint8_t *source
        uint16_t source_port
        uint8_t ip_version
        uint8_t service
        uint8_t reply_sum
        bint tcp
        uint64_t rx_ns
    enum:
        REPLY_SUM_NONE
    cdef union query:
        pass
    verdict answer_c "answer" (const snapshot *snap, thread_state *m, request *rq, tx_record *d)
    verdict answer_begin(const snapshot *snap, thread_state *m, request *rq, query *q, tx_record *d)
    bint answer_prefetch(const snapshot *snap, const request *rq, query *q)
    verdict answer_end(const snapshot *snap, thread_state *m, request *rq, const query *q,
                       tx_record *d)

cdef extern from "ntp/ntp.h" nogil:
    uint64_t ntp_time(uint64_t ns)

cdef extern from "ntp/stamp.h" nogil:
    void tx_finish(thread_state *m, const tx_record *d, uint64_t transmit)

cdef extern from "frame/frame.h" nogil:
    cdef struct frame:
        uint8_t *data
        uint64_t sum
        uint8_t checksum
    enum:
        FRAME_CHECKSUM_PARTIAL
    verdict frame_parse(const snapshot *snap, uint8_t *data, uint32_t length, uint32_t room,
                        frame *f, request *rq)
    uint32_t frame_turn(frame *f, const request *rq)
