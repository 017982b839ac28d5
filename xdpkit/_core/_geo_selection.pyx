# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""What a GeoDNS zone answers while no status changes (``geo/selection.h``)."""

from libc.stdlib cimport free

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)

cdef extern from "zone/zone.h" nogil:
    struct geo_header "zone_arena":
        uint32_t geo
    const void *zone_at(const zone_arena *arena, uint32_t offset)


# No message is longer.
cdef enum:
    ROOM = 65535


cdef bint has_choices(ZoneArena arena) noexcept:
    return (<const geo_header *>arena.c).geo != 0


def status_names(ZoneArena arena not None):
    """The names of the statuses of an arena, ``FILE/KEY``, in the order that ``Selection`` takes
    their states; empty if no record has one."""
    cdef const geo_zone *zone
    cdef const char *name
    names = []
    if has_choices(arena):
        zone = geo_zone_of(arena.c)
        name = <const char *>zone_at(arena.c, zone.status)
        for _ in range(zone.statuses):
            found = <bytes>name
            names.append(found.decode(errors="surrogateescape"))
            name += len(found) + 1
    return tuple(names)


cdef class Generator:
    """Random numbers for draws; the same ``seed`` gives the same, 64 bits."""

    def __cinit__(self, uint64_t seed):
        geo_generator_seed(&self.c, seed)


cdef class Selection:
    """Tables to draw from, of what is healthy; immutable, with the arena that they are of.

    ``states`` has a byte for each of ``status_names(arena)``: 2 is healthy, everything else is not.
    If nothing is left for a client because nothing is healthy, health is ignored for it with
    ``answer_all_unhealthy``. Raises ValueError for another number of states, an arena without
    choices, and aliases with weights that are nested too deeply; MemoryError.
    """

    def __init__(self, ZoneArena arena not None, bytes states not None,
                 bint answer_all_unhealthy=True):
        cdef const uint8_t *state = <const uint8_t *><const char *>states
        cdef size_t size
        cdef int built
        if self.c is not NULL:
            raise ValueError("a selection is built once")
        if not has_choices(arena):
            raise ValueError("the zone arena has no choices to select from")
        if len(states) != geo_zone_of(arena.c).statuses:
            raise ValueError(
                f"{len(states)} states of {geo_zone_of(arena.c).statuses} statuses: one is needed "
                "for each")
        self.arena = arena
        self.variants = geo_zone_of(arena.c).variants
        with nogil:
            size = geo_selection_size(arena.c)
            self.c = <geo_selection *>aligned_alloc(
                GEO_SELECTION_ALIGN,
                (size + GEO_SELECTION_ALIGN - 1) & ~<size_t>(GEO_SELECTION_ALIGN - 1))
        if self.c is NULL:
            raise MemoryError(f"out of memory for a selection of {size} bytes")
        with nogil:
            built = geo_selection_build(self.c, arena.c, state, answer_all_unhealthy)
        if built != 0:
            raise ValueError(
                f"aliases with weights that lead to such are nested more than {GEO_DEPTH_MAX} deep")

    @property
    def size(self):
        """Bytes that it takes."""
        return self.c.size

    def pick(self, uint32_t variant, Generator generator not None):
        """What a variant's answer is made from: the offset of an image, or None, and the table that
        ``draw`` takes, or None. Neither: the choice's fallback."""
        cdef geo_pick_result pick
        if variant >= self.variants:
            raise IndexError(f"variant {variant} of {self.variants}")
        pick = geo_pick(self.c, variant, &generator.c)
        return (pick.at if pick.picked == GEO_PICKED_IMAGE else None,
                pick.at if pick.picked == GEO_PICKED_RECORDS else None)

    def draw(self, uint32_t variant, Generator generator not None, uint32_t room=ROOM,
             uint32_t owner=12):
        """The records of one answer as they are in a message, and their number: (b"", 0) if they do
        not fit. Raises ValueError if the answer is none of records that are drawn."""
        cdef uint8_t buffer[ROOM]
        cdef uint32_t count, length
        _, table = self.pick(variant, generator)
        if table is None:
            raise ValueError(f"variant {variant} has no records to draw")
        length = geo_put_records(
            self.c, table, &generator.c, owner, buffer, min(room, ROOM), &count)
        return (<char *>buffer)[:length], count

    def draws(self, uint32_t variant, Generator generator not None, uint32_t times):
        """The records of so many answers, one after another."""
        return b"".join([self.draw(variant, generator)[0] for _ in range(times)])

    def __dealloc__(self):
        free(self.c)
