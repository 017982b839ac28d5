# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""The records of one owner and type in a zone that is read and compiled."""

cimport cython

from xdpkit.errors import ZoneError


# A circle is not possible: it has bytes and a path.
@cython.no_gc
cdef class RRset:
    """Records of one owner and type, RDATA uncompressed, in file order.

    ``covers`` is the type that an RRSIG signs, else 0: signatures keep the TTL of what they sign.
    ``path`` and ``line`` are where the first record is. A zone may have millions of them.
    """

    def __init__(self, uint16_t rdtype, uint16_t covers, uint32_t ttl, str path not None,
                 uint32_t line, list rdatas=None):
        self.rdtype, self.covers, self.ttl = rdtype, covers, ttl
        self.path, self.line = path, line
        self.held = [] if rdatas is None else rdatas

    @property
    def rdatas(self):
        """The RDATA of its records, a list that may be changed."""
        if PyBytes_CheckExact(self.held):
            self.held = [self.held]
        return self.held

    @rdatas.setter
    def rdatas(self, list rdatas not None):
        self.held = rdatas

    def error(self, reason):
        """An error with ``reason`` at the location of the first record."""
        return ZoneError(self.path, reason, self.line)

    def __repr__(self):
        return (f"RRset({self.rdtype}, {self.covers}, {self.ttl}, {self.path!r}, {self.line}, "
                f"{self.rdatas!r})")
