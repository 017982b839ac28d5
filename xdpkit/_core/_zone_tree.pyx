# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""What exists in a zone and what it delegates (RFC 1034 section 4.3.2)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp


cdef list EMPTY = []


cdef RRset find_type(list rrsets, uint16_t rdtype):
    """The first RRset of a type, or None: there is one at most, except of RRSIGs."""
    cdef RRset rrset
    for rrset in rrsets:
        if rrset.rdtype == rdtype:
            return rrset
    return None


cdef inline const uint8_t *bytes_of(bytes name) noexcept:
    return <const uint8_t *>PyBytes_AS_STRING(name)


cdef bytes parent(bytes name):
    """The name without its first label; for the root, the empty string."""
    cdef Py_ssize_t first = bytes_of(name)[0] + 1
    cdef Py_ssize_t rest = PyBytes_GET_SIZE(name) - first
    return PyBytes_FromStringAndSize(<const char *>bytes_of(name) + first, max(rest, 0))


cdef bint is_below(bytes name, bytes ancestor) noexcept:
    """Whether the name is the ancestor or under it."""
    cdef const uint8_t *at = bytes_of(name)
    cdef Py_ssize_t length = PyBytes_GET_SIZE(name)
    cdef Py_ssize_t wanted = PyBytes_GET_SIZE(ancestor)
    while length > wanted:
        length -= at[0] + 1
        at += at[0] + 1
    return length == wanted and memcmp(at, bytes_of(ancestor), length) == 0


cdef class Tree:
    """A zone's names: ``nodes`` maps those that a question can match to their records.

    Modifies the dict it is given: empty non-terminals are added (RFC 4592 section 2.2.2), with an
    empty list, and names below a delegation move to ``hidden``, which only glue is taken from.
    ``wildcards`` are the names that have a wildcard under them. Raises ValueError for what is not a
    name of the zone.
    """

    def __init__(self, bytes origin not None, dict nodes not None):
        self.origin, self.nodes = origin, nodes
        self.hidden, self.wildcards = {}, set()
        self._find_cuts()
        if self.cuts:
            self._hide()
        self._add_ancestors()

    cdef bint _is_under(self, bytes name, set tops) except -1:
        """Whether the name is below, and not at, one of ``tops``."""
        cdef Py_ssize_t shortest = PyBytes_GET_SIZE(self.origin)
        while True:
            name = parent(name)
            # The zone's own name is none of them.
            if PyBytes_GET_SIZE(name) <= shortest:
                return False
            if name in tops:
                return True

    cdef object _check_name(self, bytes name):
        cdef name_labels labels
        if not (name_parse(&labels, bytes_of(name), PyBytes_GET_SIZE(name))
                and labels.length == PyBytes_GET_SIZE(name) and is_below(name, self.origin)):
            raise ValueError(f"{name!r} is not a name of this zone")

    cdef object _find_cuts(self):
        cdef bytes name
        cdef list rrsets
        cdef set found = set()
        for name, rrsets in self.nodes.items():
            self._check_name(name)
            if find_type(rrsets, TYPE_NS) is not None and name != self.origin:
                found.add(name)
        self.cuts = {name for name in found if not self._is_under(name, found)}

    cdef object _hide(self):
        cdef bytes name
        for name in [name for name in self.nodes if self._is_under(name, self.cuts)]:
            self.hidden[name] = self.nodes.pop(name)

    cdef object _add_ancestors(self):
        cdef bytes name, above
        cdef bytes known = self.origin
        cdef Py_ssize_t shortest = PyBytes_GET_SIZE(self.origin)
        cdef Py_ssize_t first, rest
        cdef bint wildcard
        for name in list(self.nodes):
            while PyBytes_GET_SIZE(name) > shortest:
                first = bytes_of(name)[0] + 1
                rest = PyBytes_GET_SIZE(name) - first
                wildcard = first == 2 and bytes_of(name)[1] == c"*"
                # Mostly the parent of the name before.
                if (not wildcard and rest == PyBytes_GET_SIZE(known)
                        and memcmp(bytes_of(name) + first, bytes_of(known), rest) == 0):
                    break
                above = parent(name)
                if wildcard:
                    self.wildcards.add(above)
                if above in self.nodes:
                    known = above
                    break
                self.nodes[above] = EMPTY
                name = above

    cdef list addresses(self, bytes host):
        """Addresses of a host that this zone has, glue or not, with their signatures."""
        cdef bytes node = host
        cdef list rrsets
        cdef RRset rrset
        if not is_below(host, self.origin):
            return EMPTY
        rrsets = self.hidden.get(host)
        if rrsets is None:
            while node not in self.nodes:
                node = parent(node)
            if node is not host:
                if (node in self.cuts or node not in self.wildcards
                        or find_type(self.nodes[node], TYPE_DNAME) is not None):
                    return EMPTY
                node = b"\1*" + node
            rrsets = self.nodes[node]
        return [rrset for rrset in rrsets
                if rrset.rdtype == TYPE_A or rrset.rdtype == TYPE_AAAA
                or rrset.covers == TYPE_A or rrset.covers == TYPE_AAAA]
