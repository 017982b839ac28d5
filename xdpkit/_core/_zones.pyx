# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Compiled zones in memory (``zone/zone.h``), and the directory that finds them by name."""

from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer)
from libc.errno cimport EINTR, errno
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.types cimport off_t
from posix.unistd cimport pread

import os
import secrets

cdef extern from "<sys/mman.h>" nogil:
    enum:
        PROT_READ
    int mprotect(void *address, size_t size, int protection)

cdef extern from "base/huge_map.h" nogil:
    enum:
        HUGE_PAGE
    void *huge_map(size_t size)
    void huge_unmap(void *base, size_t size)

cdef extern from "base/huge_pool.h":
    size_t HUGE_POOL_BLOCK_MAX
    void *huge_pool_get(size_t size)
    void huge_pool_put(void *block, size_t size)

cdef extern from "dns/counts.h":
    enum:
        DNS_ZONE_SLOTS

cdef extern from "geo/check.h" nogil:
    int geo_check(const void *base, size_t size)

cdef extern from "zone/checksum.h" nogil:
    void zone_checksum_begin(zone_checksum *sum)
    void zone_checksum_add(zone_checksum *sum, const void *data, size_t size)
    uint64_t zone_checksum_end(const zone_checksum *sum)

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)


cdef enum:
    CACHE_LINE = 64
    # What a second-level cache holds.
    READ_BYTES = 1 << 18


cdef bint is_mapped(size_t size) noexcept nogil:
    """Whether a block is a mapping of its own, which can have huge pages.

    A small one would waste pages, and a process has at most vm.max_map_count mappings.
    """
    return 2 * size >= HUGE_PAGE


cdef void *new_block(size_t size) noexcept:
    """At least ``size`` bytes, aligned to a cache line; NULL if out of memory.

    Called with the GIL, which makes it one thread at a time.
    """
    if is_mapped(size):
        return huge_map(size)
    if size <= HUGE_POOL_BLOCK_MAX:
        return huge_pool_get(size)
    return aligned_alloc(CACHE_LINE, (size + CACHE_LINE - 1) & ~<size_t>(CACHE_LINE - 1))


cdef void free_block(void *block, size_t size) noexcept:
    if is_mapped(size):
        huge_unmap(block, size)
    elif size <= HUGE_POOL_BLOCK_MAX:
        huge_pool_put(block, size)
    else:
        free(block)


cdef int read_summed(char *to, int fd, off_t at, size_t size, zone_checksum *sum) noexcept nogil:
    """Reads so many bytes, each piece summed while a cache has it; 0, -1 at the end, or an errno.
    """
    cdef size_t have = 0, summed = 0
    cdef ssize_t got
    while have < size:
        got = pread(fd, to + have, min(size - have, <size_t>READ_BYTES), at + <off_t>have)
        if got < 0 and errno == EINTR:
            continue
        if got <= 0:
            return errno if got else -1
        have += got
        got = have - summed if have == size else (have - summed) & ~<size_t>(CACHE_LINE - 1)
        add_summed(to, summed, got, sum)
        summed += got
    return 0


cdef void add_summed(char *base, size_t at, size_t size, zone_checksum *sum) noexcept nogil:
    """Adds a part of an arena, from a multiple of a cache line on; its own checksum counts as 0."""
    cdef zone_arena *head = <zone_arena *>base
    cdef uint64_t own
    if at or size < sizeof(zone_arena):
        zone_checksum_add(sum, base + at, size)
        return
    own, head.checksum = head.checksum, 0
    zone_checksum_add(sum, base, size)
    head.checksum = own


cdef dict slots = {}


def zone_slots():
    """The slots of zones, by name, in a thread's counts of queries: each has its for good.

    At 0 are those for which there was none left.
    """
    return dict(slots)


cdef uint32_t slot_of(bytes name):
    """The slot of a zone's counts; a name that was never seen gets the next."""
    cdef uint32_t slot = len(slots) + 1
    slot = slots.setdefault(name, slot) if slot < DNS_ZONE_SLOTS else slots.get(name, 0)
    return slot


cdef class ZoneArena:
    """One compiled zone: a checked copy of ``data`` in our own memory, never written again.

    Only its slot is this process's own (``zone_slots``).

    A copy, so that nothing that happens to a file or its disk can affect an answer; and because
    anonymous memory has huge pages, which random lookups in a large zone need. Raises ValueError if
    it is not an arena of this version, damaged, or unsafe to answer from; MemoryError.
    """

    def __init__(self, data):
        cdef Py_buffer buffer
        cdef zone_checksum sum
        PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE)
        try:
            self._allocate(buffer.len)
            with nogil:
                memcpy(self.c, buffer.buf, self.size)
        finally:
            PyBuffer_Release(&buffer)
        if self.size >= sizeof(zone_arena):
            # Of another ZoneArena; in a file there is none.
            self.c.slot = 0
        with nogil:
            zone_checksum_begin(&sum)
            add_summed(<char *>self.c, 0, self.size, &sum)
        self._check(&sum)

    @staticmethod
    def read(int fd, off_t at, size_t size):
        """The arena in a file, whatever else happens to that meanwhile. Raises OSError, too."""
        cdef ZoneArena self = ZoneArena.__new__(ZoneArena)
        cdef zone_checksum sum
        cdef int error
        self._allocate(size)
        with nogil:
            zone_checksum_begin(&sum)
            error = read_summed(<char *>self.c, fd, at, size, &sum)
        if error > 0:
            raise OSError(error, os.strerror(error))
        if error:
            raise ValueError("the zone arena is cut off")
        self._check(&sum)
        return self

    cdef int _allocate(self, size_t size) except -1:
        self.size = size
        self.c = <zone_arena *>new_block(size)
        if self.c is NULL:
            raise MemoryError(f"out of memory for a zone arena of {size} bytes")
        return 0

    cdef int _check(self, const zone_checksum *sum) except -1:
        cdef int sound
        if self.size < sizeof(zone_arena) or zone_checksum_end(sum) != self.c.checksum:
            raise ValueError("the checksum of the zone arena is wrong")
        with nogil:
            sound = geo_check(self.c, self.size)
        if sound != 0:
            raise ValueError("not a valid zone arena of this version of xdpkit")
        self.c.slot = slot_of(self.name)
        if is_mapped(self.size):
            with nogil:
                mprotect(self.c, self.size, PROT_READ)
        return 0

    @property
    def name(self):
        """The zone's name: wire format, lower-cased."""
        cdef const zone_node *apex = <const zone_node *>zone_at(self.c, self.c.apex)
        cdef const char *name = <const char *>(apex + 1) + apex.type_count * sizeof(zone_type)
        return name[:apex.name_length]

    @property
    def serial(self):
        """The serial of its SOA."""
        return self.c.serial

    @property
    def names(self):
        """Owner names in it, empty non-terminals not counted."""
        return self.c.names

    def view(self):
        """The arena's bytes, which stay as long as this view exists."""
        return memoryview(self)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.c, self.size, 1, flags)

    def __dealloc__(self):
        if self.c is not NULL:
            free_block(self.c, self.size)


cdef struct entry:
    const uint8_t *name
    uint32_t length
    const zone_arena *arena
    const geo_serving *geo


cdef class ZoneServing:
    """What a zone with choices is served with beside its arena; a GeoServing is one."""


cdef const geo_serving *serving_of(ZoneArena arena, ZoneServing serving) except? NULL:
    if arena is None or not arena.c.geo:
        return NULL
    if serving is None or serving.arena is not arena or serving.c is NULL:
        raise ValueError(f"the zone {arena.name!r} has choices, and nothing to make them with")
    return serving.c


cdef class ZoneDirectory:
    """The zones that are served, for a Snapshot (``zone/directory.h``); keeps its arenas alive.

    ``zones`` yields names (wire format, lower-cased) and arenas, None for a zone that could not be
    loaded. ``servings`` has a GeoServing by its name for each whose arena has choices. Raises
    ValueError for a name that comes twice and for one without its GeoServing, MemoryError.
    """

    def __init__(self, zones, dict servings=None):
        cdef bytes name
        cdef ZoneArena arena
        cdef size_t zones_size = 0
        cdef uint32_t names = 0
        cdef list found = list(zones)
        for name, arena in found:
            zones_size += zone_served_size(len(name))
            if arena is not None:
                names += zone_index_names(arena.c)
        self.arenas = tuple([arena for _, arena in found if arena is not None])
        self.servings = tuple(servings.values()) if servings else ()
        self.size = zone_directory_size(len(found), zones_size, names)
        self.c = <zone_directory *>new_block(self.size)
        if self.c is NULL:
            raise MemoryError(f"out of memory for a directory of {len(found)} zones")
        memset(self.c, 0, self.size)
        self.count = len(found)
        zone_directory_begin(self.c, len(found), names, secrets.randbits(64))
        self._fill(found, servings)

    cdef _fill(self, list found, dict servings):
        cdef bytes name
        cdef ZoneArena arena
        cdef size_t i = 0, count = len(found)
        cdef int twice = 0
        cdef entry *all = <entry *>calloc(count + 1, sizeof(entry))
        if all is NULL:
            raise MemoryError(f"out of memory for a directory of {count} zones")
        try:
            for name, arena in found:
                all[i].name = <const uint8_t *><const char *>name
                all[i].length = len(name)
                all[i].arena = arena.c if arena is not None else NULL
                all[i].geo = serving_of(arena, servings.get(name) if servings else None)
                i += 1
            # Made beside the event loop, which goes on meanwhile.
            with nogil:
                for i in range(count):
                    twice = zone_directory_add(
                        self.c, all[i].name, all[i].length, all[i].arena, all[i].geo)
                    if twice:
                        break
                if not twice:
                    zone_directory_end(self.c)
            if twice:
                raise ValueError(f"two zones have the name {found[i][0]!r}")
        finally:
            free(all)

    def __len__(self):
        return self.count

    def __dealloc__(self):
        if self.c is not NULL:
            free_block(self.c, self.size)
