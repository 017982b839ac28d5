# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""AF_XDP sockets on the raw UAPI: set-up, statistics, close. ``_loop`` and ``_blast`` run on them.

linux ``Documentation/networking/af_xdp.rst`` and ``include/uapi/linux/if_xdp.h``.
"""

from libc.errno cimport errno
from libc.stdlib cimport free
from libc.string cimport memset

import os

from xdpkit.cext._stats cimport XDPKIT_CHUNK

cdef extern from *:
    """
    #include <linux/if_xdp.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/mman.h>
    #include <sys/socket.h>
    #include <unistd.h>
    #include "xsk.h"

    /* Not in every libc's headers: include/linux/socket.h, asm-generic/socket.h. */
    #ifndef SOL_XDP
    #define SOL_XDP 283
    #endif
    #ifndef AF_XDP
    #define AF_XDP 44
    #endif
    /* Linux 6.17, include/uapi/linux/if_xdp.h: frames a copy-mode kick sends at most. */
    #define XSK_MAX_TX_SKB_BUDGET 9

    /* The UMEM's file: of huge pages when the system has some to spare, or of ordinary ones. */
    static uint8_t *xsk_map_umem(int *fd, size_t size, unsigned flags)
    {
        void *p;

        *fd = memfd_create("xdpkit-umem", MFD_CLOEXEC | flags);
        if (*fd < 0)
            return NULL;
        p = ftruncate(*fd, (off_t)size) ? MAP_FAILED
            : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, *fd, 0);
        if (p != MAP_FAILED)
            return p;
        close(*fd);
        *fd = -1;
        return NULL;
    }
    /* struct xdp_umem_reg of linux/if_xdp.h since 6.8: where older ones have padding, a length. */
    struct xsk_umem_reg {
        uint64_t addr, len;
        uint32_t chunk_size, headroom, flags, tx_metadata_len;
    };
    _Static_assert(sizeof(struct xsk_umem_reg) == sizeof(struct xdp_umem_reg), "the kernel's");
    /* Linux 6.11: without this flag an older kernel would not say that it knows no such length. */
    #define XSK_UMEM_TX_METADATA_LEN (1 << 2)

    static int xsk_register(int fd, void *umem, size_t size, unsigned chunk, unsigned metadata)
    {
        struct xsk_umem_reg reg = {
            .addr = (uintptr_t)umem, .len = size, .chunk_size = chunk,
            .flags = metadata ? XSK_UMEM_TX_METADATA_LEN : 0, .tx_metadata_len = metadata,
        };
        return setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof reg);
    }
    static int xsk_bind(int fd, unsigned ifindex, unsigned queue, unsigned short flags)
    {
        struct sockaddr_xdp address = {
            .sxdp_family = AF_XDP, .sxdp_flags = flags,
            .sxdp_ifindex = ifindex, .sxdp_queue_id = queue,
        };
        return bind(fd, (struct sockaddr *)&address, sizeof address);
    }
    /*
     * Preferred busy polling, linux Documentation/networking/af_xdp.rst; a budget of a batch and
     * the 20 us of the kernel's samples. Where it is not to be had the loop spins all the same.
     */
    static void xsk_prefer_busy_poll(int fd)
    {
        int on = 1, us = 20, budget = 64;

        setsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof us);
        setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof budget);
    }
    static void *xsk_map_ring(int fd, struct ring *r, const void *offsets, unsigned which,
                              size_t *size)
    {
        static const off_t pages[] = {XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING,
                                      XDP_UMEM_PGOFF_FILL_RING, XDP_UMEM_PGOFF_COMPLETION_RING};
        const struct xdp_ring_offset *o = (const struct xdp_ring_offset *)offsets + which;
        char *p;

        *size = o->desc + r->size * (which < 2 ? sizeof(struct xdp_desc) : sizeof(uint64_t));
        p = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, pages[which]);
        if (p == MAP_FAILED)
            return NULL;
        r->producer = (uint32_t *)(p + o->producer);
        r->consumer = (uint32_t *)(p + o->consumer);
        r->flags = (uint32_t *)(p + o->flags);
        r->entries = p + o->desc;
        return p;
    }
    _Static_assert(offsetof(struct xdp_mmap_offsets, cr) == 3 * sizeof(struct xdp_ring_offset),
                   "rx, tx, fill, completion: the order xsk_map_ring() counts in");
    """
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
    int socket(int family, int kind, int protocol) nogil
    int setsockopt(int fd, int level, int name, const void *value, unsigned size) nogil
    int getsockopt(int fd, int level, int name, void *value, unsigned *size) nogil
    int munmap(void *address, size_t size) nogil
    void *aligned_alloc(size_t alignment, size_t size) nogil
    uint8_t *xsk_map_umem(int *fd, size_t size, unsigned flags) nogil
    int xsk_register(int fd, void *umem, size_t size, unsigned chunk, unsigned metadata) nogil
    void xsk_prefer_busy_poll(int fd) nogil
    int xsk_bind(int fd, unsigned ifindex, unsigned queue, unsigned short flags) nogil
    void *xsk_map_ring(int fd, ring *r, const void *offsets, unsigned which, size_t *size) nogil


class XskError(OSError):
    """An AF_XDP system call failed; ``step`` is socket, umem, rings or bind."""

    def __init__(self, step, number):
        super().__init__(number, f"AF_XDP {step}: {os.strerror(number)}")
        self.step = step


cdef enum:
    # What one socket may have on its way in copy mode: every frame as an skb of about 1 KiB each,
    # so that net.core.wmem_default (212 KiB) does not stall the TX ring.
    SEND_BUFFER = XSK_FRAMES * 2048


cdef class XskSocket:
    """One AF_XDP socket with its own UMEM, bound to an interface's queue; all its frames are free.

    ``zerocopy`` chooses the mode explicitly: some drivers fail on sendto when left to choose.
    ``busy_poll`` prefers the socket's own calls to interrupts where the driver can (linux 5.11).
    ``tx_metadata`` is the number of bytes before a packet for the kernel's TX metadata; the
    attribute is 0 where the kernel knows none (before linux 6.11).
    The UMEM is a memfd (``umem_fd``) of 4096 chunks of 2048 bytes. Raises XskError; nothing stays
    open. Not for use by two threads.
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
        cdef xdp_mmap_offsets offsets
        cdef unsigned size = sizeof(offsets)
        cdef int budget = 64
        cdef int send_buffer = SEND_BUFFER
        self.ifindex, self.queue = ifindex, queue
        try:
            self.c.fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0)
            if self.c.fd < 0:
                raise XskError("socket", errno)
            self._umem(tx_metadata)
            if getsockopt(self.c.fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &size) != 0:
                raise XskError("rings", errno)
            self._ring(&self.c.rx, 0, &offsets)
            self._ring(&self.c.tx, 1, &offsets)
            self._ring(&self.c.fill, 2, &offsets)
            self._ring(&self.c.completion, 3, &offsets)
            for i in range(XSK_FRAMES):
                self.c.free[i] = <uint64_t>i * XDPKIT_CHUNK
            self.c.free_count = XSK_FRAMES
            # Both only help: neither an old kernel nor an unprivileged process is an error.
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

    cdef object _umem(self, unsigned tx_metadata):
        cdef size_t size = <size_t>XSK_FRAMES * XDPKIT_CHUNK
        cdef int fd
        self.c.umem = xsk_map_umem(&fd, size, MFD_HUGETLB)
        self.huge_pages = self.c.umem is not NULL
        if not self.huge_pages:
            self.c.umem = xsk_map_umem(&fd, size, 0)
        if self.c.umem is NULL:
            raise XskError("umem", errno)
        self.umem_fd = fd
        if tx_metadata and xsk_register(self.c.fd, self.c.umem, size, XDPKIT_CHUNK,
                                        tx_metadata) == 0:
            self.tx_metadata = tx_metadata
        elif xsk_register(self.c.fd, self.c.umem, size, XDPKIT_CHUNK, 0) != 0:
            raise XskError("umem", errno)

    cdef object _ring(self, ring *r, int which, const void *offsets):
        cdef int option = (
            XDP_RX_RING, XDP_TX_RING, XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING
        )[which]
        r.size = XSK_FRAMES
        if setsockopt(self.c.fd, SOL_XDP, option, &r.size, sizeof(r.size)) != 0:
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
        """The kernel's six counters for this socket (XDP_STATISTICS, linux 5.9)."""
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
        """Closes socket and UMEM; frames on the rings are gone. No loop may be running on them."""
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
