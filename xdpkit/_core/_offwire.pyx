# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""The loop's user-space work without a wire: ``_loop``'s batch functions on rings in plain memory.

What remains when a NIC in zero-copy mode saves the kernel's part: parse, verify, answer, turn
around, one clock read per batch.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

import array

from xdpkit._core._loop cimport (
    WORKER_BATCH, answer_batch, clock_arrival, stamp_batch, worker,
)
from xdpkit._core._thread_state cimport ThreadState, clock_advance, clock_ns
from xdpkit._core._snapshot cimport Snapshot
from xdpkit._core._stats cimport XDPKIT_CHUNK, XDPKIT_HEADROOM, stats_dict
from xdpkit._core._xsk cimport ring_desc, xsk

cdef extern from *:
    """
    #include <stdlib.h>
    #include "steer.h"
    #include "xdp/worker.h"

    /* Leaves receive stamps as the XDP program does. */
    static void offwire_stamp(uint8_t *frame, uint64_t hw_ns, uint64_t tai_ns)
    {
        struct steer_meta meta = {.rx_hw_ns = hw_ns, .rx_tai_ns = tai_ns};

        memcpy(frame - sizeof meta, &meta, sizeof meta);
    }
    """
    void offwire_stamp(uint8_t *frame, uint64_t hw_ns, uint64_t tai_ns) nogil
    void *aligned_alloc(size_t alignment, size_t size) nogil
    enum:
        CLOCK_MONOTONIC

cdef enum:
    RING = 64


cdef class OffWire:
    """Answers the given frames again and again, a batch at a time, as the AF_XDP loop does.

    ``frames`` are whole Ethernet frames of at most 1792 bytes, in the order in which they arrive;
    ``state`` is the answering thread's (None: one without tables).
    """

    cdef worker *w
    cdef xsk *x
    cdef Snapshot snapshot
    cdef ThreadState state
    cdef bytes data
    cdef object offsets
    cdef uint32_t count
    cdef uint32_t next_frame
    cdef uint32_t consumer

    def __cinit__(self, Snapshot snapshot not None, frames, ThreadState state=None):
        self.snapshot, self.state = snapshot, state or ThreadState()
        self.w = <worker *>aligned_alloc(64, (sizeof(worker) + 63) & ~<size_t>63)
        self.x = <xsk *>aligned_alloc(64, (sizeof(xsk) + 63) & ~<size_t>63)
        if self.w is NULL or self.x is NULL:
            raise MemoryError()
        memset(self.w, 0, sizeof(worker))
        memset(self.x, 0, sizeof(xsk))
        self.w.xsk, self.w.state = self.x, self.state.c
        self.x.umem = <uint8_t *>aligned_alloc(4096, RING * XDPKIT_CHUNK)
        self.x.rx.entries = aligned_alloc(64, RING * 16)
        self.x.tx.entries = aligned_alloc(64, RING * 16)
        self.x.rx.size = self.x.tx.size = RING
        self.x.rx.consumer = &self.consumer
        at = [0]
        for frame in frames:
            at.append(at[-1] + len(frame))
        self.data, self.offsets, self.count = b"".join(frames), array.array("I", at), len(at) - 1

    cdef void arrive(self, uint32_t batch, const unsigned int[:] at):
        """Places the next ``batch`` frames as the kernel would, with metadata and descriptors."""
        cdef const char *data = self.data
        cdef uint64_t address
        cdef uint32_t i, length
        clock_advance(&self.w.clock)
        self.x.free_count = 0
        for i in range(batch):
            address = i * XDPKIT_CHUNK + XDPKIT_HEADROOM
            length = at[self.next_frame + 1] - at[self.next_frame]
            memcpy(self.x.umem + address, data + at[self.next_frame], length)
            offwire_stamp(self.x.umem + address, 0, self.w.clock.tai_ns)
            ring_desc(&self.x.rx, self.x.rx.at + i).addr = address
            ring_desc(&self.x.rx, self.x.rx.at + i).len = length
            self.next_frame = (self.next_frame + 1) % self.count

    def run(self, uint64_t answers, uint32_t batch=WORKER_BATCH):
        """Answers about ``answers`` frames in batches of 1 to 64; returns nanoseconds per frame.

        The time is the loop's between two system calls, without the copy that acts as the NIC.
        """
        cdef const unsigned int[:] at = self.offsets
        cdef uint64_t spent = 0, begin, done = 0
        if not 1 <= batch <= RING:
            raise ValueError(f"a batch of {batch} frames: 1 to {RING} are possible")
        while done < answers:
            self.arrive(batch, at)
            begin = clock_ns(CLOCK_MONOTONIC)
            clock_advance(&self.w.clock)
            answer_batch(self.w, self.snapshot.c, batch)
            stamp_batch(self.w, self.snapshot.c, batch)
            spent += clock_ns(CLOCK_MONOTONIC) - begin
            done += batch
        return spent / done

    def arrival(self, uint64_t hw_ns, uint64_t xdp_ns, uint64_t tai_ns, int64_t tai_offset_s=37,
                bint own_clock=False):
        """The receive time (UTC, ns) of a frame with these stamps in a batch begun at ``tai_ns``.

        ``hw_ns`` is the NIC's stamp, 0 for none; ``xdp_ns`` the XDP program's, in CLOCK_TAI.
        """
        cdef uint8_t *frame = self.x.umem + XDPKIT_HEADROOM
        offwire_stamp(frame, hw_ns, xdp_ns)
        self.w.clock.tai_ns, self.w.clock.tai_offset_s = tai_ns, tai_offset_s
        self.w.clock.utc_ns = tai_ns - <uint64_t>(tai_offset_s * 1000000000)
        self.w.clock.trust_stamps = True
        self.w.own_clock = own_clock
        return clock_arrival(self.w, &self.snapshot.c.phc, frame)

    def counters(self):
        """A copy of the loop's counters (``runtime/stats.h``)."""
        return stats_dict(&self.w.stats)

    def __dealloc__(self):
        if self.x is not NULL:
            free(self.x.umem)
            free(self.x.rx.entries)
            free(self.x.tx.entries)
        free(self.x)
        free(self.w)
