# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Rules and tables of the response rate limits (``rrl.h``), and their rootless door for tests."""

import secrets
from typing import NamedTuple

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


class RrlRule(NamedTuple):
    """Answers a second and at once of one address, and slip; the defaults are Knot DNS's."""

    rate: int = 50
    instant: int = 125
    slip: int = 1


# Lowest and highest value of each field.
RRL_BOUNDS = {
    "rate": (0, RRL_RATE_MAX),
    "instant": (1, RRL_INSTANT_MAX),
    "slip": (0, RRL_SLIP_MAX),
}


cdef int rrl_rule_take(rrl_rule *c, rule) except -1:
    """Fills a C rule from a RrlRule; raises ValueError for a field out of bounds."""
    for name, value in zip(rule._fields, rule):
        low, high = RRL_BOUNDS[name]
        if not low <= value <= high:
            raise ValueError(f"{name} = {value} is not within {low}..{high}")
    rrl_rule_set(c, rule.rate, rule.instant, rule.slip)
    return 0


cdef class RrlTable:
    """One thread's table for ``entries`` prefixes (a power of two, 4 at least), 16 bytes each.

    ``secret`` is 24 random bytes; what is given is for tests that must repeat.
    Raises ValueError for other sizes, MemoryError when there is no room.
    """

    def __cinit__(self, uint32_t entries=1 << 16, bytes secret=None):
        cdef void *memory
        if entries < RRL_WAYS or entries & (entries - 1):
            raise ValueError(f"{entries} entries: a power of two is needed, {RRL_WAYS} at least")
        if secret is None:
            secret = secrets.token_bytes(RRL_SECRET_WORDS * sizeof(uint64_t))
        if len(secret) != RRL_SECRET_WORDS * sizeof(uint64_t):
            raise ValueError(f"a secret of {len(secret)} bytes")
        self.size = rrl_table_bytes(entries)
        memory = mmap(NULL, self.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if memory is <void *>-1:
            raise MemoryError()
        # A check touches some lines anywhere in the table: fewer TLB misses.
        madvise(memory, self.size, MADV_HUGEPAGE)
        self.c = rrl_table_init(memory, entries, <const uint64_t *><const char *>secret)

    def passes(self, rule, bytes source not None, uint64_t now_ns):
        """Whether an answer may be sent to ``source``, which is then counted.

        ``source`` is an address in network order, 4 or 16 bytes; ``now_ns`` monotonic nanoseconds.
        Raises ValueError for another length, a rule out of bounds or without a rate.
        """
        cdef rrl_rule c
        cdef rrl_place place
        cdef uint8_t version = 4 if len(source) == 4 else 6
        if len(source) not in (4, 16):
            raise ValueError(f"an address of {len(source)} bytes")
        rrl_rule_take(&c, rule)
        if not c.rate:
            raise ValueError("rate = 0 limits nobody")
        rrl_locate(self.c, <const uint8_t *><const char *>source, version, &place)
        return rrl_pass(self.c, &c, &place, version, now_ns)

    def __dealloc__(self):
        if self.c is not NULL:
            munmap(self.c, self.size)
