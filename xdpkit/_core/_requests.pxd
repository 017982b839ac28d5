from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "loadgen/loadgen.h" nogil:
    cdef struct loadgen_times:
        uint64_t count
    cdef struct loadgen_clients:
        uint32_t count
        uint64_t basic
        uint64_t interleaved
        uint64_t same
        uint64_t later
        uint64_t earlier
        loadgen_times underway
    cdef struct loadgen:
        uint8_t header[0]
        uint32_t header_bytes
        uint32_t ip_at
        uint8_t ip_version
        uint8_t service
        uint16_t first_port
        uint16_t ports
        bint shared
        uint32_t addresses
        uint32_t echo_bytes
        const uint8_t *queries
        const uint32_t *query_at
        uint32_t query_count
        uint64_t key
        bint versioned
        uint32_t version
        uint64_t versions
        uint64_t sent
        uint64_t answered
        uint64_t wrong
        uint64_t duplicate
        uint64_t lost
        uint64_t open
        uint64_t late
        loadgen_times latency
        loadgen_clients clients
    enum:
        LOADGEN_WINDOW
        LOADGEN_PAYLOAD
    uint32_t loadgen_request(loadgen *b, uint8_t *data, uint64_t now_ns)
    int loadgen_reply(loadgen *b, uint8_t *data, uint32_t length, uint64_t now_ns,
                      uint64_t arrived_ns)
    void loadgen_expire(loadgen *b, uint64_t now_ns)
    void loadgen_clients_open(loadgen_clients *clients, uint32_t count)
    uint32_t loadgen_clients_ready(const loadgen_clients *clients)
    uint64_t loadgen_times_percentile(const loadgen_times *times, double percent)


cdef class Requests:
    cdef loadgen *c
    cdef bytes queries
    cdef object query_at
