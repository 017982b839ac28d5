from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "loadgen/loadgen.h" nogil:
    cdef struct blast_times:
        uint64_t count
    cdef struct blast_clients:
        uint32_t count
        uint64_t basic
        uint64_t interleaved
        uint64_t same
        uint64_t later
        uint64_t earlier
        blast_times underway
    cdef struct blast:
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
        blast_times latency
        blast_clients clients
    enum:
        BLAST_WINDOW
        BLAST_PAYLOAD
    uint32_t blast_request(blast *b, uint8_t *data, uint64_t now_ns)
    int blast_reply(blast *b, uint8_t *data, uint32_t length, uint64_t now_ns, uint64_t arrived_ns)
    void blast_expire(blast *b, uint64_t now_ns)
    void blast_clients_open(blast_clients *clients, uint32_t count)
    uint32_t blast_clients_ready(const blast_clients *clients)
    uint64_t blast_times_percentile(const blast_times *times, double percent)


cdef class Requests:
    cdef blast *c
    cdef bytes queries
    cdef object query_at
