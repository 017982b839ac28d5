from libc.stdint cimport uint16_t, uint32_t


cdef class RRset:
    cdef readonly uint16_t rdtype, covers
    cdef public uint32_t ttl
    cdef readonly str path
    cdef readonly uint32_t line
    cdef public list rdatas
