from libc.stdint cimport uint8_t

cdef extern from "admit/access.h" nogil:
    cdef struct access_list:
        pass
    enum:
        ACCESS_ALIGN
    int access_open(const void *base, size_t size)
    bint access_allowed(const access_list *list_c, const uint8_t *source, uint8_t ip_version)


cdef class AccessList:
    cdef access_list *c
