from cpython.bytes cimport PyBytes_CheckExact
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdint cimport uint16_t, uint32_t


cdef class RRset:
    cdef readonly uint16_t rdtype, covers
    cdef public uint32_t ttl
    cdef readonly str path
    cdef readonly uint32_t line
    # RDATA: bytes of the only record, or a list once there are others or somebody asks for one.
    cdef object held


cdef inline Py_ssize_t rdata_count(RRset rrset):
    """Records of an RRset, without a list of them."""
    return 1 if PyBytes_CheckExact(rrset.held) else PyList_GET_SIZE(rrset.held)


cdef inline bytes rdata_at(RRset rrset, Py_ssize_t at):
    """One of its RDATA."""
    if PyBytes_CheckExact(rrset.held):
        return <bytes>rrset.held
    return <bytes>PyList_GET_ITEM(rrset.held, at)
