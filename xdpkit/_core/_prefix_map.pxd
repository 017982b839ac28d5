from libc.stdint cimport uint8_t, uint16_t

cdef extern from "admit/prefix_map.h" nogil:
    cdef struct prefix_map:
        pass
    enum:
        PREFIX_MAP_ALIGN
    int prefix_map_open(const void *base, size_t size)
    uint16_t prefix_map_value(const prefix_map *map_c, const uint8_t *source, uint8_t ip_version)


cdef class PrefixMap:
    cdef prefix_map *c


cdef class AccessList(PrefixMap):
    pass
