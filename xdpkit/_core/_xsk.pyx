# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""AF_XDP sockets on the raw UAPI: setup, statistics, close. ``_loop`` and ``_loadgen`` run on them.

See the kernel's ``Documentation/networking/af_xdp.rst`` and ``include/uapi/linux/if_xdp.h``.
"""

from libc.errno cimport errno
from libc.stdlib cimport free
from libc.string cimport memset

import os

from xdpkit._core._stats cimport XDPKIT_CHUNK

cdef extern from "xdp/xsk_calls.h" nogil:
    cdef struct xdp_mmap_offsets:
        pass
    cdef struct xdp_options:
        uint32_t flags
    cdef struct xdp_statistics:
        uint64_t rx_dropped
        uint64_t rx_invalid_descs
        uint64_t tx_invalid_descs
        uint64_t rx_ring_full
        uint64_t rx_fill_ring_empty_descs
        uint64_t tx_ring_empty_descs
    enum:
        AF_XDP
        SOL_XDP
        SOL_SOCKET
        SO_SNDBUFFORCE
        SOCK_RAW
        SOCK_CLOEXEC
        MFD_HUGETLB
        XDP_MMAP_OFFSETS
        XDP_RX_RING
        XDP_TX_RING
        XDP_UMEM_FILL_RING
        XDP_UMEM_COMPLETION_RING
        XDP_STATISTICS
        XDP_OPTIONS
        XDP_OPTIONS_ZEROCOPY
        XDP_COPY
        XDP_ZEROCOPY
        XDP_USE_NEED_WAKEUP
        XSK_MAX_TX_SKB_BUDGET
    int socket(int family, int kind, int protocol)
    int setsockopt(int fd, int level, int name, const void *value, unsigned size)
    int getsockopt(int fd, int level, int name, void *value, unsigned *size)
    int munmap(void *address, size_t size)
    void *aligned_alloc(size_t alignment, size_t size)
    uint8_t *xsk_map_umem(int fd, size_t size)
    uint8_t *xsk_make_umem(int *fd, size_t size, unsigned flags)
    int xsk_register(int fd, void *umem, size_t size, unsigned chunk, unsigned metadata)
    void xsk_prefer_busy_poll(int fd)
    int xsk_bind(int fd, unsigned ifindex, unsigned queue, unsigned short flags)
    void *xsk_map_ring(int fd, ring *r, const void *offsets, unsigned which, size_t *size)


# Frames of a UMEM, and entries of each ring.
FRAMES = XSK_FRAMES


class XskError(OSError):
    """A system call for an AF_XDP socket failed; ``step``: socket, memory, umem, rings, bind."""

    def __init__(self, step, number):
        super().__init__(number, f"AF_XDP {step}: {os.strerror(number)}")
        self.step = step


cdef enum:
    # Room for every frame in flight in copy mode, as an skb of about 1 KiB each, so that
    # net.core.wmem_default (212 KiB) does not stall the TX ring.
    SEND_BUFFER = XSK_FRAMES * 2048


cdef class XskSocket:
    """One AF_XDP socket with its own UMEM, bound to an interface's queue; all its frames are free.

    ``zerocopy`` selects the mode explicitly: some drivers fail on sendto when left to choose.
    ``busy_poll`` prefers polling by the socket's system calls to interrupts where the driver can
    (Linux 5.11). ``tx_metadata`` is the number of bytes before a packet for the kernel's TX
    metadata; the attribute is 0 where the kernel does not support it (before Linux 6.11). The UMEM
    is a memfd (``umem_fd``) of 4096 chunks of 2048 bytes. Raises XskError, with nothing left open.
    Not thread-safe.
    """

    def __cinit__(self, *args, **kwargs):
        self.umem_fd = -1
        self.c = <xsk *>aligned_alloc(64, (sizeof(xsk) + 63) & ~<size_t>63)
        if self.c is NULL:
            raise MemoryError()
        memset(self.c, 0, sizeof(xsk))
        self.c.fd = -1

    def __init__(self, int ifindex, int queue, bint zerocopy=False, bint busy_poll=False,
                 unsigned tx_metadata=0):
        cdef int budget = 64
        cdef int send_buffer = SEND_BUFFER
        self.queue = queue
        try:
            self.c.fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0)
            if self.c.fd < 0:
                raise XskError("socket", errno)
            self._umem(tx_metadata)
            self._rings(True)
            for i in range(XSK_FRAMES):
                self.c.free[i] = <uint64_t>i * XDPKIT_CHUNK
            self.c.free_count = XSK_FRAMES
            # Both are optional: an old kernel or an unprivileged process is not an error.
            setsockopt(self.c.fd, SOL_XDP, XSK_MAX_TX_SKB_BUDGET, &budget, sizeof(budget))
            setsockopt(self.c.fd, SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer, sizeof(send_buffer))
            if busy_poll:
                xsk_prefer_busy_poll(self.c.fd)
            if xsk_bind(self.c.fd, ifindex, queue, XDP_USE_NEED_WAKEUP
                        | (XDP_ZEROCOPY if zerocopy else XDP_COPY)) != 0:
                raise XskError("bind", errno)
            self.zerocopy = self._options() & XDP_OPTIONS_ZEROCOPY
        except BaseException:
            self.close()
            raise

    @classmethod
    def adopt(cls, int fd, int umem_fd, int queue, unsigned tx_metadata=0, bint huge_pages=False):
        """A bound socket taken over from another process, which still has its descriptors.

        ``fd`` and ``umem_fd`` are owned here from now on, even if this fails. Until the other's
        worker has parked, only ``fileno``, ``statistics`` and ``close`` may be called; then call
        ``resume``. Raises XskError: with EBUSY where the kernel lets nobody map the rings of a
        bound socket (Linux 6.1 does not, 6.18 does).
        """
        cdef XskSocket self = XskSocket.__new__(XskSocket)
        self.c.fd, self.umem_fd = fd, umem_fd
        self.queue = queue
        self.tx_metadata, self.huge_pages = tx_metadata, huge_pages
        try:
            self.c.umem = xsk_map_umem(umem_fd, <size_t>XSK_FRAMES * XDPKIT_CHUNK)
            if self.c.umem is NULL:
                raise XskError("umem", errno)
            self._rings(False)
            self.zerocopy = self._options() & XDP_OPTIONS_ZEROCOPY
        except BaseException:
            self.close()
            raise
        return self

    def resume(self):
        """Takes over the rings as a parked worker left them, with every frame on one of them."""
        self.c.rx.at, self.c.completion.at = self.c.rx.consumer[0], self.c.completion.consumer[0]
        self.c.tx.at, self.c.fill.at = self.c.tx.producer[0], self.c.fill.producer[0]
        self.c.free_count = 0

    cdef object _umem(self, unsigned tx_metadata):
        cdef size_t size = <size_t>XSK_FRAMES * XDPKIT_CHUNK
        cdef int fd
        self.c.umem = xsk_make_umem(&fd, size, MFD_HUGETLB)
        self.huge_pages = self.c.umem is not NULL
        if not self.huge_pages:
            self.c.umem = xsk_make_umem(&fd, size, 0)
        if self.c.umem is NULL:
            raise XskError("memory", errno)
        self.umem_fd = fd
        if tx_metadata and xsk_register(self.c.fd, self.c.umem, size, XDPKIT_CHUNK,
                                        tx_metadata) == 0:
            self.tx_metadata = tx_metadata
        elif xsk_register(self.c.fd, self.c.umem, size, XDPKIT_CHUNK, 0) != 0:
            raise XskError("umem", errno)

    cdef object _rings(self, bint make):
        """Maps the four rings; with ``make``, creates them first."""
        cdef xdp_mmap_offsets offsets
        cdef unsigned size = sizeof(offsets)
        if getsockopt(self.c.fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &size) != 0:
            raise XskError("rings", errno)
        self._ring(&self.c.rx, 0, &offsets, make)
        self._ring(&self.c.tx, 1, &offsets, make)
        self._ring(&self.c.fill, 2, &offsets, make)
        self._ring(&self.c.completion, 3, &offsets, make)

    cdef object _ring(self, ring *r, int which, const void *offsets, bint make):
        cdef int option = (
            XDP_RX_RING, XDP_TX_RING, XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING
        )[which]
        r.size = XSK_FRAMES
        if make and setsockopt(self.c.fd, SOL_XDP, option, &r.size, sizeof(r.size)) != 0:
            raise XskError("rings", errno)
        self.maps[which] = xsk_map_ring(self.c.fd, r, offsets, which, &self.map_sizes[which])
        if self.maps[which] is NULL:
            raise XskError("rings", errno)

    def _options(self):
        cdef xdp_options options
        cdef unsigned size = sizeof(options)
        if getsockopt(self.c.fd, SOL_XDP, XDP_OPTIONS, &options, &size) != 0:
            raise XskError("bind", errno)
        return options.flags

    def fileno(self):
        """The socket's descriptor, for the XSKMAP; owned here."""
        return self.c.fd

    def statistics(self):
        """The kernel's six counters of this socket (XDP_STATISTICS, Linux 5.9)."""
        cdef xdp_statistics s
        cdef unsigned size = sizeof(s)
        memset(&s, 0, sizeof(s))
        if getsockopt(self.c.fd, SOL_XDP, XDP_STATISTICS, &s, &size) != 0:
            raise XskError("statistics", errno)
        return {
            "rx_dropped": s.rx_dropped,
            "rx_invalid_descs": s.rx_invalid_descs,
            "tx_invalid_descs": s.tx_invalid_descs,
            "rx_ring_full": s.rx_ring_full,
            "rx_fill_ring_empty_descs": s.rx_fill_ring_empty_descs,
            "tx_ring_empty_descs": s.tx_ring_empty_descs,
        }

    def close(self):
        """Closes socket and UMEM; frames on the rings are lost. No loop may be running on it."""
        cdef int i
        if self.c.fd >= 0:
            os.close(self.c.fd)
            self.c.fd = -1
        for i in range(4):
            if self.maps[i] is not NULL:
                munmap(self.maps[i], self.map_sizes[i])
                self.maps[i] = NULL
        if self.c.umem is not NULL:
            munmap(self.c.umem, <size_t>XSK_FRAMES * XDPKIT_CHUNK)
            self.c.umem = NULL
        if self.umem_fd >= 0:
            os.close(self.umem_fd)
            self.umem_fd = -1

    def __dealloc__(self):
        if self.c is not NULL:
            self.close()
            free(self.c)
