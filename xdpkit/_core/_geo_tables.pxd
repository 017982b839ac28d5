from libc.stdint cimport uint32_t

from xdpkit._core._zone_arena cimport arena


cdef class GeoTables:
    cdef readonly dict nodes
    cdef readonly list images
    cdef list draws, steps, variants, choices
    cdef list choice_at
    cdef dict step_at
    cdef bytes view, statuses
    cdef uint32_t classes, status_count
    cdef set used_images(self)
    cdef uint32_t write(self, arena *a, list image_at, uint32_t nodata) except? 0
    cdef uint32_t _write_draws(self, arena *a) except? 0
    cdef uint32_t _write_step(self, arena *a, tuple steps, list image_at) except? 0
    cdef uint32_t _write_options(self, arena *a, tuple options, list places) except? 0
    cdef int _write_choices(self, arena *a, uint32_t nodata) except -1
    cdef uint32_t choice(self, Py_ssize_t number) except? 0
