# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Access lists in their own memory, for the answering threads (``admit/access.h``)."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport free
from libc.string cimport memcpy

import ipaddress

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)


cdef class AccessList:
    """A copy of what ``xdpkit.services.access_list.build`` made; immutable.

    Raises ValueError when the bytes are not such a list, MemoryError when memory runs out.
    """

    def __cinit__(self, bytes blob not None):
        cdef size_t size = len(blob)
        # Rounded up: aligned_alloc requires a multiple of the alignment.
        self.c = <access_list *>aligned_alloc(
            ACCESS_ALIGN, (size // ACCESS_ALIGN + 1) * ACCESS_ALIGN)
        if self.c is NULL:
            raise MemoryError()
        memcpy(self.c, <const char *>blob, size)
        if access_open(self.c, size) != 0:
            raise ValueError(f"{size} bytes that are not an access list of this version of xdpkit")

    def allowed(self, address):
        """Whether ``address`` (text or an ipaddress object) is allowed."""
        cdef bytes source = ipaddress.ip_address(address).packed
        return access_allowed(self.c, <const uint8_t *><const char *>source,
                              4 if len(source) == 4 else 6)

    def __dealloc__(self):
        free(self.c)
