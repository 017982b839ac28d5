# SPDX-License-Identifier: Apache-2.0
from libc.stdint cimport uint32_t, uint64_t, uint8_t

from xdpkit._core._zones cimport ZoneArena, zone_arena


cdef extern from "geo/selection.h" nogil:
    enum:
        GEO_SELECTION_ALIGN
        GEO_DEPTH_MAX
    struct geo_zone:
        uint32_t variants, statuses, status
    struct geo_selection:
        uint64_t size
    const geo_zone *geo_zone_of(const zone_arena *arena)
    size_t geo_selection_size(const zone_arena *arena)
    int geo_selection_build(
        void *base, const zone_arena *arena, const uint8_t *states, bint answer_all_unhealthy)

cdef extern from "geo/draw.h" nogil:
    struct geo_generator:
        pass
    enum geo_picked:
        GEO_PICKED_NOTHING, GEO_PICKED_RECORDS, GEO_PICKED_IMAGE
    struct geo_pick_result "geo_pick":
        geo_picked picked
        uint32_t at
    void geo_generator_seed(geo_generator *generator, uint64_t seed)
    geo_pick_result geo_pick(
        const geo_selection *selection, uint32_t entry, geo_generator *generator)
    uint32_t geo_put_records(
        const geo_selection *selection, uint32_t at, geo_generator *generator, uint32_t owner,
        uint8_t *to, uint32_t room, uint32_t *count)


cdef class Generator:
    cdef geo_generator c


cdef class Selection:
    cdef geo_selection *c
    # Keeps the images that the C struct's offsets are of.
    cdef readonly ZoneArena arena
    cdef uint32_t variants
