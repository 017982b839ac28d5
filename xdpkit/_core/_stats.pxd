from libc.stdint cimport uint64_t

cdef extern from "steer.h" nogil:
    cdef struct steer_meta:
        pass
    enum service_id:
        SERVICE_NONE
        SERVICE_ntp
        SERVICE_dns
        SERVICE_echo
        SERVICE_COUNT
    ctypedef int verdict "enum verdict"
    enum:
        VERDICT_PENDING
        VERDICT_not_sent
        VERDICT_COUNT
        STEER_QUEUES
        STEER_VERDICT_SLOTS
        STEER_VERDICT_END
        STEER_KEYS
        STEER_RX_TIMESTAMP_CALL
        XDPKIT_CHUNK
        XDPKIT_HEADROOM
        XDPKIT_MAX_FRAME
    cdef struct steer_key:
        unsigned char address[16]
        unsigned short port
        unsigned short outer
        unsigned short inner
        unsigned short ip_version

cdef extern from "runtime/stats.h" nogil:
    cdef struct stats:
        uint64_t verdict[0]
        uint64_t csum_partial
        uint64_t stamp_hw
        uint64_t stamp_xdp
        uint64_t stamp_kernel
        uint64_t stamp_clock
        uint64_t batches
        uint64_t kicks
        uint64_t waits
        uint64_t heartbeat
    bint verdict_answers(verdict v)

cdef dict stats_dict(const stats *s)
