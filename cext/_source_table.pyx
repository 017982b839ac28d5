# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""What the tables of ``limit.h`` and ``rrl.h`` have in common: their memory, secret and rules."""

from libc.stdint cimport uint64_t

import secrets

cdef extern from "<sys/mman.h>" nogil:
    enum:
        PROT_READ
        PROT_WRITE
        MAP_PRIVATE
        MAP_ANONYMOUS
        MADV_HUGEPAGE
    void *mmap(void *address, size_t size, int protection, int flags, int fd, long offset)
    int munmap(void *address, size_t size)
    int madvise(void *address, size_t size, int advice)

cdef extern from "hash.h" nogil:
    enum:
        HASH_SECRET_WORDS


cdef class SourceTable:
    """Base of one thread's tables over source addresses; owns the memory."""

    cdef bytes _open(self, uint32_t entries, uint32_t ways, size_t size, bytes secret):
        """Maps ``size`` bytes for a power of two of entries, ``ways`` at least.

        Returns the secret, 24 bytes: the one given, or a random one. Raises ValueError,
        MemoryError.
        """
        cdef Py_ssize_t wanted = HASH_SECRET_WORDS * sizeof(uint64_t)
        cdef void *memory
        if entries < ways or entries & (entries - 1):
            raise ValueError(f"{entries} entries: a power of two is needed, {ways} at least")
        if secret is None:
            secret = secrets.token_bytes(wanted)
        if len(secret) != wanted:
            raise ValueError(f"a secret of {len(secret)} bytes")
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if memory is <void *>-1:
            raise MemoryError()
        self.memory, self.size = memory, size
        # A check touches a few lines anywhere in the table: fewer TLB misses.
        madvise(memory, size, MADV_HUGEPAGE)
        return secret

    def __dealloc__(self):
        if self.memory is not NULL:
            munmap(self.memory, self.size)


cdef int check_bounds(rule, dict bounds) except -1:
    """Raises ValueError for a field of a NamedTuple that is not within its lowest and highest."""
    for name, value in zip(rule._fields, rule):
        low, high = bounds[name]
        if not low <= value <= high:
            raise ValueError(f"{name} = {value} is not within {low}..{high}")
    return 0
