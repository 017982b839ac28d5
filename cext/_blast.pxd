from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from xdpkit.cext._xsk cimport XskSocket

cdef extern from "blast.h" nogil:
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
        uint64_t sequence
        uint64_t sent
        uint64_t answered
        uint64_t wrong
        uint64_t duplicate
        uint64_t lost
        uint64_t open
        uint64_t late
        uint64_t slowest_ns
        uint64_t histogram[0]
    enum:
        BLAST_WINDOW
        BLAST_PAYLOAD
        BLAST_BUCKETS
        BLAST_BUCKET_BITS
    uint32_t blast_request(blast *b, uint8_t *data, uint64_t now_ns)
    int blast_reply(blast *b, uint8_t *data, uint32_t length, uint64_t now_ns)
    void blast_expire(blast *b, uint64_t now_ns)


cdef class Generator:
    cdef blast *c
    cdef readonly XskSocket socket
    cdef bytes queries
    cdef uint64_t paced_ns
    cdef uint64_t paced
    cdef object query_at
