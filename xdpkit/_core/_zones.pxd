# SPDX-License-Identifier: Apache-2.0
from libc.stdint cimport uint32_t, uint64_t, uint8_t


cdef extern from "zone/directory.h" nogil:
    struct zone_node:
        uint8_t name_length
        uint32_t type_count
    struct zone_type:
        pass
    struct zone_arena:
        uint64_t checksum
        uint32_t apex, serial, names, geo, slot
    struct zone_directory:
        pass
    struct geo_serving:
        pass
    const void *zone_at(const zone_arena *arena, uint32_t offset)
    size_t zone_served_size(uint32_t length)
    uint32_t zone_index_names(const zone_arena *arena)
    size_t zone_directory_size(uint32_t count, size_t zones, uint32_t names)
    void zone_directory_begin(
        zone_directory *directory, uint32_t count, uint32_t names, uint64_t seed)
    int zone_directory_add(
        zone_directory *directory, const uint8_t *name, uint32_t length, const zone_arena *arena,
        const geo_serving *geo)
    void zone_directory_end(zone_directory *directory)


cdef extern from "zone/checksum.h" nogil:
    struct zone_checksum:
        pass


cdef class ZoneArena:
    cdef zone_arena *c
    cdef readonly size_t size
    cdef int _allocate(self, size_t size) except -1
    cdef int _check(self, const zone_checksum *sum) except -1


cdef class ZoneServing:
    cdef const geo_serving *c
    cdef readonly ZoneArena arena


cdef class ZoneDirectory:
    cdef zone_directory *c
    cdef readonly size_t size
    cdef size_t count
    # Keeps what the C struct points to.
    cdef tuple arenas
    cdef tuple servings
    cdef _fill(self, list found, dict servings)
