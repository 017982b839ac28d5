# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Master files: their records as RRsets, read by ``cext/zonefile/``, and all else by characters."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

from xdpkit._core._rrset cimport RRset, rdata_at, rdata_count

cdef extern from "Python.h":
    int PyGC_Disable()
    int PyGC_Enable()

cdef enum:
    # So many are found by a look at each: most names and RRsets need nothing else.
    c_few = 8
    # Records between calls of ``progress``.
    c_progress = 20000
    T_NS = 2, T_CNAME = 5, T_SOA = 6, T_PTR = 12, T_DNAME = 39, T_DS = 43

FEW = c_few

# RDATA that is just a name: case does not matter (RFC 1034 section 3.1).
NAMES = frozenset({T_NS, T_CNAME, T_PTR, T_DNAME})


cdef bint is_name(uint16_t rdtype) noexcept:
    return rdtype == T_NS or rdtype == T_CNAME or rdtype == T_PTR or rdtype == T_DNAME


cdef uint8_t lower(uint8_t c) noexcept:
    return c | 32 if 65 <= c <= 90 else c


cdef bint is_same(const uint8_t *a, const uint8_t *b, Py_ssize_t length, bint any_case) noexcept:
    cdef Py_ssize_t at = 0
    if memcmp(a, b, length) == 0:
        return True
    if any_case:
        while at < length and lower(a[at]) == lower(b[at]):
            at += 1
        return at == length
    return False


cdef class MasterFile:
    """The content of a file, from which records are read in C, and lines by their characters.

    ``offset`` is how many bytes have been read, ``line`` the line there, from 1: whoever reads
    characters counts it. Newlines are LF, CR and CR LF, as in text files of Python.
    ``line_of_all``, if it is not 0, is what counts as the line of each record.
    """

    def __init__(self, str path not None, bytes data not None):
        self.path, self.data = path, data
        self.text = ""
        self.line = 1

    cdef bint next_line(self) except -1:
        """Goes to the next line; at the end, the last one stays the current one."""
        cdef const char *data = PyBytes_AS_STRING(self.data)
        cdef Py_ssize_t end = self.offset, size = PyBytes_GET_SIZE(self.data), newline = 0
        if end >= size:
            return False
        while end < size and data[end] != b'\n' and data[end] != b'\r':
            end += 1
        if end < size:
            newline = 2 if data[end] == b'\r' and end + 1 < size and data[end + 1] == b'\n' else 1
        text = self.decode(PyBytes_FromStringAndSize(data + self.offset, end - self.offset))
        self.text = text + "\n" if newline else text
        self.at = 0
        self.offset = end + newline
        return True

    def decode(self, line):
        """A line, without its newline, as text. Raises UnicodeDecodeError."""
        return line.decode()

    def read(self, size):
        """One character; empty at the end of the file."""
        if self.at == len(self.text) and not self.next_line():
            return ""
        self.at += 1
        return self.text[self.at - 1]

    def column(self):
        """The column of the next character, from 1."""
        return self.at + 1

    def rest(self):
        """The current line from the next character on."""
        return self.text[self.at:]

    def skip_rest(self):
        """Goes to the newline of the current line, or to its end if it has none."""
        self.at = len(self.text) - self.text.endswith("\n")

    def before(self):
        """The current line up to the next character."""
        return self.text[:self.at]

    def seek(self, Py_ssize_t offset):
        """Goes to a line by its offset."""
        if not 0 <= offset <= PyBytes_GET_SIZE(self.data):
            raise ValueError(f"offset {offset} of {PyBytes_GET_SIZE(self.data)} bytes")
        self.offset, self.text, self.at = offset, "", 0

    cdef void refused(self, const master *c):
        """Stays at a record that was read and refused."""
        cdef const uint8_t *first = <const uint8_t *>PyBytes_AS_STRING(self.data)
        self.offset, self.line = c.record - first, c.record_line
        self.after, self.after_line = c.next - first, c.line

    def skip_refused(self):
        """Goes behind the record that ``RecordReader.read`` has refused."""
        self.seek(self.after)
        self.line = self.after_line

    def close(self):
        """Lets go of the content: all has been read."""
        self.offset, self.text, self.at = PyBytes_GET_SIZE(self.data), "", 0
        self.data = b""


cdef class RecordReader:
    """Reads plain records, and adds them to ``nodes``, the RRsets by owner.

    A subclass has ``_add``, which is given whatever is not simple: a record that might have to be
    refused, or is at a name or in an RRset that has many; and ``_warn_of_ttl``, for one of 2^31
    seconds or more, which counts as 0. ``progress`` is called with the number of
    records so far, every 20,000.
    """

    def __cinit__(self, *_, **__):
        # All but the RDATA, which is written before it is read, is set by enter() and read().
        self.c = <master *>malloc(sizeof(master))
        if self.c is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.c)

    def __init__(self, dict nodes not None, bytes origin not None, progress,
                 bint stated_before_minimum):
        self.nodes, self.origin, self.progress = nodes, origin, progress
        self.c.stated_before_minimum = stated_before_minimum
        self.enter(origin, origin, None, None, False)

    def enter(self, bytes origin not None, bytes owner not None, last_ttl, default_ttl,
              bint from_soa):
        """Sets what the next records inherit; ``owner`` is in lower case, a TTL None if unknown."""
        cdef master *c = self.c
        set_name(&c.origin, origin)
        set_name(&c.owner, owner)
        c.last_ttl_known = last_ttl is not None
        c.last_ttl = last_ttl or 0
        c.default_ttl_known = default_ttl is not None
        c.default_ttl = default_ttl or 0
        c.default_ttl_from_soa = from_soa

    def leave(self):
        """What the next records inherit, as ``enter`` is given it."""
        cdef const master *c = self.c
        return (name_bytes(&c.origin), name_bytes(&c.owner),
                c.last_ttl if c.last_ttl_known else None,
                c.default_ttl if c.default_ttl_known else None,
                bool(c.default_ttl_from_soa))

    def read(self, MasterFile file not None):
        """Reads records from a line on. Returns whether that was all of the file.

        If not, the next line is not plain, or what has begun elsewhere goes on there. Raises what
        ``_add`` and ``progress`` raise: then the file is still at the record that was refused.
        """
        cdef master *c = self.c
        cdef const uint8_t *first = <const uint8_t *>PyBytes_AS_STRING(file.data)
        cdef bytes data = file.data
        cdef master_found found
        cdef int collects
        if file.at != len(file.text):
            return False
        c.next, c.end, c.line = first + file.offset, first + PyBytes_GET_SIZE(data), file.line
        c.record, c.record_line = c.next, c.line
        # Others may have added records meanwhile.
        self.file, self.owner = file, None
        # Nothing that is made here is garbage: looking for some took more than half of the time.
        collects = PyGC_Disable()
        try:
            while True:
                found = master_next(c)
                if found != MASTER_RECORD:
                    break
                self.take()
        except BaseException:
            file.refused(c)
            raise
        finally:
            self.file = None
            if collects:
                PyGC_Enable()
        file.offset, file.line = c.next - first, c.line
        return found == MASTER_END

    cdef int take(self) except -1:
        """Adds the record that was read."""
        cdef master *c = self.c
        cdef bytes wire = PyBytes_FromStringAndSize(<const char *>c.rdata, c.rdata_length)
        if self.file.line_of_all:
            c.record_line = self.file.line_of_all
        self.find_owner()
        self.file.line = c.record_line
        if c.ttl_large:
            self._warn_of_ttl()
        if self.add(wire):
            return self.counted()
        # It may be a new name: looked up again.
        owner, self.owner = self.owner, None
        self._add(owner, c.ttl, c.type, c.covers, wire)
        return 0

    cdef int find_owner(self) except -1:
        """Looks the owner up, if it is not that of the record before."""
        cdef const master *c = self.c
        cdef PyObject *found
        if self.owner is not None and PyBytes_GET_SIZE(self.owner) == c.owner.length and memcmp(
                PyBytes_AS_STRING(self.owner), c.owner.bytes, c.owner.length) == 0:
            return 0
        self.owner = name_bytes(&c.owner)
        found = PyDict_GetItem(self.nodes, self.owner)
        self.rrsets = <list>found if found is not NULL else None
        return 0

    cdef bint is_unusual(self) noexcept:
        """Whether the owner is not in the zone, or it may not have records of this type."""
        cdef const master *c = self.c
        cdef uint32_t at = 0, length = c.owner.length
        cdef uint32_t zone = <uint32_t>PyBytes_GET_SIZE(self.origin)
        while length - at > zone:
            at += c.owner.bytes[at] + 1
        if length - at != zone or memcmp(&c.owner.bytes[at], PyBytes_AS_STRING(self.origin), zone):
            return True
        if at == 0:
            return c.type == T_DS
        if c.owner.bytes[0] == 1 and c.owner.bytes[1] == b'*':
            return c.type == T_NS or c.type == T_DNAME or c.type == T_SOA
        return c.type == T_SOA

    cdef bint add(self, bytes wire) except -1:
        """Adds the record, or returns False: it is not simple."""
        cdef const master *c = self.c
        cdef list rrsets = self.rrsets
        cdef RRset rrset
        cdef Py_ssize_t at, count
        if self.is_unusual():
            return False
        if rrsets is None:
            self.rrsets = self.nodes[self.owner] = [new_rrset(c, self.file.path, wire)]
            return True
        count = PyList_GET_SIZE(rrsets)
        if count >= c_few:
            return False
        for at in range(count):
            rrset = <RRset>PyList_GET_ITEM(rrsets, at)
            if rrset.rdtype == c.type and rrset.covers == c.covers:
                return add_to(rrset, c, wire)
            if rrset.rdtype == T_CNAME or c.type == T_CNAME:
                return False
        rrsets.append(new_rrset(c, self.file.path, wire))
        return True

    def added(self):
        """Counts a record that ``_add`` has added."""
        self.counted()

    cdef int counted(self) except -1:
        cdef const master *c = self.c
        self.count += 1
        if self.count % c_progress == 0 and self.progress is not None:
            if self.file is not None:
                self.file.offset = c.next - <const uint8_t *>PyBytes_AS_STRING(self.file.data)
            self.progress(self.count)
        return 0


cdef int set_name(name *to, bytes wire) except -1:
    if not 0 < PyBytes_GET_SIZE(wire) <= NAME_MAX_BYTES:
        raise ValueError(f"a name of {PyBytes_GET_SIZE(wire)} bytes")
    to.length = <uint8_t>PyBytes_GET_SIZE(wire)
    memcpy(to.bytes, PyBytes_AS_STRING(wire), to.length)
    return 0


cdef bytes name_bytes(const name *wire):
    return PyBytes_FromStringAndSize(<const char *>wire.bytes, wire.length)


cdef RRset new_rrset(const master *c, str path, bytes wire):
    cdef RRset rrset = RRset.__new__(RRset)
    rrset.rdtype, rrset.covers, rrset.ttl = c.type, c.covers, c.ttl
    rrset.path, rrset.line = path, c.record_line
    rrset.held = wire
    return rrset


cdef bint add_to(RRset rrset, const master *c, bytes wire) except -1:
    """Adds a record to those of its name and type, or returns False."""
    cdef Py_ssize_t at, count = rdata_count(rrset), length = PyBytes_GET_SIZE(wire)
    cdef bytes known
    cdef bint any_case = is_name(c.type)
    if count >= c_few:
        return False
    for at in range(count):
        known = rdata_at(rrset, at)
        if PyBytes_GET_SIZE(known) == length and is_same(
                <const uint8_t *>PyBytes_AS_STRING(known),
                <const uint8_t *>PyBytes_AS_STRING(wire), length, any_case):
            break
    else:
        if c.type == T_SOA or c.type == T_CNAME or c.type == T_DNAME:
            return False
        (<list>rrset.rdatas).append(wire)
    # RFC 2181 section 5.2: one TTL for the RRset; the lowest is safe.
    rrset.ttl = min(rrset.ttl, c.ttl)
    return True


def remarkable(dict nodes not None, uint16_t rdtype, Py_ssize_t fixed, Py_ssize_t most):
    """The nodes with records of a type, and the RRsets that are too large.

    A record takes ``fixed`` bytes beside its RDATA, and an RRset at most ``most``.
    """
    cdef dict found = {}
    cdef list large = [], rrsets
    cdef RRset rrset
    cdef Py_ssize_t size, at
    for owner, rrsets in nodes.items():
        for rrset in rrsets:
            if rrset.rdtype == rdtype:
                found[owner] = rrsets
            size = fixed * rdata_count(rrset)
            for at in range(rdata_count(rrset)):
                size += PyBytes_GET_SIZE(rdata_at(rrset, at))
            if size > most:
                large.append(rrset)
    return found, large
