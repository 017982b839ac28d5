from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "xdp/xsk.h" nogil:
    cdef struct xdp_desc:
        uint64_t addr
        uint32_t len
        uint32_t options
    cdef struct ring:
        uint32_t *producer
        uint32_t *consumer
        uint32_t *flags
        void *entries
        uint32_t size
        uint32_t at
    cdef struct xsk:
        int fd
        uint8_t *umem
        ring fill
        ring completion
        ring rx
        ring tx
        uint64_t tx_lost
        uint32_t free_count
        uint64_t free[0]
    enum:
        XSK_FRAMES
        XSK_TX_METADATA
    uint64_t *ring_address(const ring *r, uint32_t index)
    uint32_t ring_peek(const ring *r, uint32_t max)
    void ring_release(ring *r)
    void ring_publish(ring *r)
    uint32_t ring_untaken(const ring *r)
    uint32_t ring_level(const ring *r)
    uint32_t ring_adjacent(const ring *r, uint32_t n)
    xdp_desc *ring_desc(const ring *r, uint32_t index)
    uint64_t xsk_chunk(uint64_t address)
    void xsk_prefetch(const uint8_t *data)
    uint32_t xsk_completed(xsk *x)
    void xsk_reap(xsk *x, uint32_t n)
    void xsk_refill(xsk *x, uint32_t keep)
    uint32_t xsk_kick(xsk *x)


cdef class XskSocket:
    cdef xsk *c
    cdef readonly int umem_fd
    cdef readonly int queue
    cdef readonly bint zerocopy
    cdef readonly bint huge_pages
    cdef readonly unsigned tx_metadata
    cdef void *maps[4]
    cdef size_t map_sizes[4]
    cdef object _umem(self, unsigned tx_metadata)
    cdef object _rings(self, bint make)
    cdef object _ring(self, ring *r, int which, const void *offsets, bint make)
