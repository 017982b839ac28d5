from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from xdpkit._core._rrset cimport RRset

cdef extern from "compile/names.h" nogil:
    cdef struct name_labels:
        uint32_t length
        uint32_t count
    bint name_parse(name_labels *labels, const uint8_t *wire, uint64_t room)

cdef enum:
    TYPE_A = 1
    TYPE_NS = 2
    TYPE_CNAME = 5
    TYPE_SOA = 6
    TYPE_AAAA = 28
    TYPE_DNAME = 39
    TYPE_DS = 43
    TYPE_RRSIG = 46
    TYPE_NSEC = 47
    TYPE_NSEC3 = 50


cdef RRset find_type(list rrsets, uint16_t rdtype)
cdef bytes parent(bytes name)
cdef bint is_below(bytes name, bytes ancestor) noexcept


cdef class Tree:
    cdef readonly bytes origin
    cdef readonly dict nodes
    cdef readonly dict hidden
    cdef readonly set wildcards
    cdef readonly set cuts
    cdef bint _is_under(self, bytes name, set tops) except -1
    cdef object _check_name(self, bytes name)
    cdef object _find_cuts(self)
    cdef object _hide(self)
    cdef object _add_ancestors(self)
    cdef list addresses(self, bytes host)
