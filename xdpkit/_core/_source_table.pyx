# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Memory, secret and rules of the tables of ``admit/ratelimit.h`` and ``admit/rrl.h``."""

import secrets

cdef extern from "base/huge_map.h" nogil:
    void *huge_map(size_t size)
    void huge_unmap(void *base, size_t size)


cdef class SourceTable:
    """Base class of one thread's tables of source addresses; owns the memory."""

    cdef bytes _open(self, uint32_t entries, uint32_t ways, size_t size, bytes secret,
                     uint32_t keys):
        """Maps ``size`` bytes for ``entries``, a power of two and at least ``ways``.

        Returns the secret, ``keys`` hash keys of 16 bytes: the given one, or a random one. Raises
        ValueError, MemoryError.
        """
        cdef Py_ssize_t wanted = keys * sizeof(hash_key)
        if entries < ways or entries & (entries - 1):
            raise ValueError(f"{entries} entries: a power of two is needed, at least {ways}")
        if secret is None:
            secret = secrets.token_bytes(wanted)
        if len(secret) != wanted:
            raise ValueError(f"a secret of {len(secret)} bytes: {wanted} are needed")
        self.state, self.size = huge_map(size), size
        if self.state is NULL:
            raise MemoryError()
        return secret

    def __dealloc__(self):
        if self.state is not NULL:
            huge_unmap(self.state, self.size)


cdef int check_bounds(rule, dict bounds) except -1:
    """Raises ValueError for a field of a NamedTuple that is out of bounds."""
    for name, value in zip(rule._fields, rule):
        low, high = bounds[name]
        if not low <= value <= high:
            raise ValueError(f"{name} = {value} is not within {low}..{high}")
    return 0
