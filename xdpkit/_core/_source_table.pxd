from libc.stdint cimport uint32_t, uint64_t

cdef extern from "base/hash.h" nogil:
    cdef struct hash_key:
        uint64_t addend
        uint64_t factor


cdef class SourceTable:
    cdef void *state
    cdef size_t size
    cdef bytes _open(self, uint32_t entries, uint32_t ways, size_t size, bytes secret,
                     uint32_t keys)


cdef int check_bounds(rule, dict bounds) except -1
