# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Prefix maps in their own memory, for the answering threads (``admit/prefix_map.h``)."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport free
from libc.string cimport memcpy

import ipaddress

cdef extern from "runtime/access.h" nogil:
    enum:
        ACCESS_ALLOWED

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)


cdef class PrefixMap:
    """A copy of what ``xdpkit.services.prefix_map.build`` made; immutable.

    Raises ValueError when the bytes are not such a map, MemoryError when memory runs out.
    """

    def __cinit__(self, bytes blob not None):
        cdef size_t size = len(blob)
        # Rounded up: aligned_alloc requires a multiple of the alignment.
        self.c = <prefix_map *>aligned_alloc(
            PREFIX_MAP_ALIGN, (size // PREFIX_MAP_ALIGN + 1) * PREFIX_MAP_ALIGN)
        if self.c is NULL:
            raise MemoryError()
        memcpy(self.c, <const char *>blob, size)
        if prefix_map_open(self.c, size) != 0:
            raise ValueError(f"{size} bytes that are not a prefix map of this version of xdpkit")

    def value(self, address):
        """The value of ``address`` (text or an ipaddress object)."""
        cdef bytes source = ipaddress.ip_address(address).packed
        return prefix_map_value(self.c, <const uint8_t *><const char *>source,
                                4 if len(source) == 4 else 6)

    def __dealloc__(self):
        free(self.c)


cdef class AccessList(PrefixMap):
    """What ``xdpkit.services.access_list`` made: its values are those of ``runtime/access.h``."""

    def allowed(self, address):
        """Whether ``address`` (text or an ipaddress object) is allowed."""
        return self.value(address) == ACCESS_ALLOWED
