# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""What a GeoDNS zone's arena has beside its images: ``geo/choice.h``."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from xdpkit._core._zone_arena cimport arena, arena_put

cdef extern from "geo/choice.h" nogil:
    enum:
        c_all "GEO_ALL"
        c_classes_max "GEO_CLASSES_MAX"
        c_draw "GEO_DRAW"
        c_images "GEO_IMAGES"
        c_variants "GEO_VARIANTS"
        GEO_VIEW_ID_BYTES
    cdef struct geo_zone:
        unsigned char view[16]
        uint32_t classes
        uint32_t draws
        uint32_t draw
        uint32_t variants
        uint32_t variant
        uint32_t statuses
        uint32_t status
    cdef struct geo_choice:
        uint32_t fallback
        uint32_t first
        uint16_t variants
    cdef struct geo_draw:
        uint32_t count
        uint32_t record
        uint32_t size
        uint32_t ends
        uint32_t weight
        uint32_t status
        uint16_t hosts
        uint16_t type
    cdef struct geo_variant:
        uint32_t step
        uint32_t steps
    cdef struct geo_step:
        uint32_t kind
        uint32_t count
        uint32_t at
    cdef struct geo_option:
        uint32_t weight
        uint32_t status
        uint32_t to

GEO_ALL = c_all
GEO_CLASSES_MAX = c_classes_max
GEO_DRAW = c_draw
GEO_IMAGES = c_images
GEO_VARIANTS = c_variants


cdef void *zeroed(size_t count, size_t size) except NULL:
    cdef void *block = calloc(count or 1, size)
    if block is NULL:
        raise MemoryError
    return block


cdef uint32_t put(arena *a, bytes data) noexcept:
    """Appends an array; 0 if it is absent."""
    if not data:
        return 0
    return arena_put(a, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef class GeoTables:
    """The choices of a zone, to be written by ArenaWriter.

    ``nodes`` has for a wire name its types that have one, ``[(type, choice), ...]`` in ascending
    order, and the choice for all other types or -1; a choice of -1 is NODATA. ``draws``, ``steps``
    and ``choices`` are those of services/dns/geo/answer_steps.py, ``images`` RRsets, ``variants``
    tuples of steps. ``statuses`` are names; ``view`` is its id of sixteen bytes.
    """

    def __init__(self, dict nodes not None, list draws not None, list images not None,
                 list steps not None, list variants not None, list choices not None,
                 list statuses not None, bytes view not None, uint32_t classes):
        if len(view) != GEO_VIEW_ID_BYTES or not 0 < classes <= c_classes_max:
            raise ValueError("a view has an id of 16 bytes and 1 to 65,535 classes")
        self.nodes, self.draws, self.images, self.steps = nodes, draws, images, steps
        self.variants, self.choices = variants, choices
        self.statuses = b"".join([name.encode("utf-8", "surrogateescape") + b"\0"
                                  for name in statuses])
        self.status_count = len(statuses)
        self.view, self.classes = view, classes
        self.choice_at = []
        self.step_at = {}

    cdef set used_images(self):
        """The numbers of the images that a variant leads to: others are a node's own."""
        cdef tuple steps
        cdef set found = set()
        for step in {step for steps in self.variants for step in steps}:
            kind, _, options = self.steps[step]
            if kind == c_images:
                found.update([option[2] for option in options])
        return found

    cdef uint32_t choice(self, Py_ssize_t number) except? 0:
        """Where a choice was written."""
        return self.choice_at[number]

    cdef uint32_t write(self, arena *a, list image_at, uint32_t nodata) except? 0:
        """Appends all of it; returns the offset of the geo_zone. ``image_at`` has the offsets of
        the images, ``nodata`` is that of the zone's NODATA image. Errors are in the arena."""
        cdef geo_zone zone
        cdef uint32_t count
        cdef geo_variant *variant = <geo_variant *>zeroed(
            len(self.variants), sizeof(geo_variant))
        cdef tuple steps
        memset(&zone, 0, sizeof(zone))
        zone.draws, zone.draw = len(self.draws), self._write_draws(a)
        try:
            count = 0
            for steps in self.variants:
                variant[count].steps = len(steps)
                variant[count].step = self._write_step(a, steps, image_at) if steps else 0
                count += 1
            zone.variant = arena_put(a, variant, count * sizeof(geo_variant)) if count else 0
            zone.variants = count
        finally:
            free(variant)
        self._write_choices(a, nodata)
        memcpy(zone.view, PyBytes_AS_STRING(self.view), GEO_VIEW_ID_BYTES)
        zone.classes = self.classes
        zone.statuses, zone.status = self.status_count, put(a, self.statuses)
        return arena_put(a, &zone, sizeof(zone))

    cdef uint32_t _write_draws(self, arena *a) except? 0:
        cdef geo_draw *draw = <geo_draw *>zeroed(len(self.draws), sizeof(geo_draw))
        cdef uint32_t count = 0
        cdef bytes records, ends, weights, statuses
        try:
            for each in self.draws:
                records, ends, weights, statuses = each[4:]
                draw[count].type, draw[count].hosts = each[0], each[1]
                draw[count].count, draw[count].size = each[2], each[3]
                draw[count].record, draw[count].ends = put(a, records), put(a, ends)
                draw[count].weight, draw[count].status = put(a, weights), put(a, statuses)
                count += 1
            return arena_put(a, draw, count * sizeof(geo_draw)) if count else 0
        finally:
            free(draw)

    cdef uint32_t _write_step(self, arena *a, tuple steps, list image_at) except? 0:
        """Appends the steps of a variant, unless another one has the same."""
        cdef geo_step *step
        cdef uint32_t count = 0
        if steps in self.step_at:
            return self.step_at[steps]
        step = <geo_step *>zeroed(len(steps), sizeof(geo_step))
        try:
            for each in steps:
                kind, draw, options = self.steps[each]
                step[count].kind, step[count].count, step[count].at = kind, 1, draw
                if kind != c_draw:
                    step[count].count = len(options)
                    step[count].at = self._write_options(
                        a, options, image_at if kind == c_images else None)
                count += 1
            self.step_at[steps] = arena_put(a, step, count * sizeof(geo_step))
        finally:
            free(step)
        return self.step_at[steps]

    cdef uint32_t _write_options(self, arena *a, tuple options, list places) except? 0:
        cdef geo_option *option = <geo_option *>zeroed(len(options), sizeof(geo_option))
        cdef uint32_t count = 0
        try:
            for weight, status, to in options:
                option[count].weight, option[count].status = weight, status
                option[count].to = to if places is None else places[to]
                count += 1
            return arena_put(a, option, count * sizeof(geo_option))
        finally:
            free(option)

    cdef int _write_choices(self, arena *a, uint32_t nodata) except -1:
        cdef geo_choice choice
        cdef bytes table
        cdef bytearray whole
        memset(&choice, 0, sizeof(choice))
        choice.fallback = nodata
        for each in self.choices:
            choice.first, choice.variants, table = each
            whole = bytearray((<char *>&choice)[:sizeof(choice)])
            whole += table
            self.choice_at.append(arena_put(a, <char *>whole, len(whole)))
        return 0
