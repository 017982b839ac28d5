from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "geo/view.h" nogil:
    cdef struct geo_view:
        uint32_t classes
        uint64_t size
        uint8_t id[16]
    cdef struct geo_found:
        uint16_t class_ "class"
        uint8_t scope
    enum:
        GEO_VIEW_ALIGN
        GEO_VIEW_ID_BYTES
        GEO_CLASSES_MAX
        GEO_EXACT
    int geo_view_open(const void *base, size_t size)
    const uint8_t *geo_view_text(const geo_view *view, uint32_t number)
    geo_found geo_view_find(const geo_view *view, const uint8_t *address, uint8_t ip_version)


cdef class GeoView:
    cdef geo_view *c
