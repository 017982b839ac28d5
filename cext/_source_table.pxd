from libc.stdint cimport uint32_t


cdef class SourceTable:
    cdef void *memory
    cdef size_t size
    cdef bytes _open(self, uint32_t entries, uint32_t ways, size_t size, bytes secret)


cdef int check_bounds(rule, dict bounds) except -1
