from libc.stdint cimport uint8_t, uint16_t, uint32_t


cdef extern from "zonefile/master.h" nogil:
    enum:
        NAME_MAX_BYTES
    struct name:
        uint8_t length
        uint8_t bytes[255]
    struct master:
        const uint8_t *next
        const uint8_t *end
        const uint8_t *record
        uint32_t line, record_line
        name origin, owner
        uint32_t last_ttl, default_ttl, ttl, rdata_length
        bint last_ttl_known, default_ttl_known, default_ttl_from_soa, stated_before_minimum
        bint ttl_large
        uint16_t type, covers
        uint8_t *rdata
    enum master_found:
        MASTER_RECORD
        MASTER_OTHER
        MASTER_END
    master_found master_next(master *master)


cdef class MasterFile:
    cdef readonly str path
    cdef public uint32_t line, line_of_all
    cdef readonly Py_ssize_t offset
    cdef readonly bytes data
    cdef str text
    cdef Py_ssize_t at, after
    cdef uint32_t after_line

    cdef bint next_line(self) except -1
    cdef void refused(self, const master *c)


cdef class RecordReader:
    cdef master *c
    cdef dict nodes
    cdef bytes origin
    cdef bytes owner
    cdef list rrsets
    cdef readonly MasterFile file
    cdef public object progress
    cdef public long count

    cdef int take(self) except -1
    cdef bint add(self, bytes wire) except -1
    cdef int find_owner(self) except -1
    cdef bint is_unusual(self) noexcept
    cdef int counted(self) except -1
