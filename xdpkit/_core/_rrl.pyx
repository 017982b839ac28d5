# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Rules and tables of response rate limiting (``admit/rrl.h``), with checks that tests can call."""

from typing import NamedTuple

from xdpkit._core._source_table cimport SourceTable, check_bounds


class RrlRule(NamedTuple):
    """Answers per second and at once to one address, and slip; the defaults are Knot DNS's."""

    rate: int = 50
    instant: int = 125
    slip: int = 1


# The lowest and highest value of each field.
RRL_BOUNDS = {
    "rate": (0, RRL_RATE_MAX),
    "instant": (1, RRL_INSTANT_MAX),
    "slip": (0, RRL_SLIP_MAX),
}


cdef int rrl_rule_take(rrl_rule *c, rule) except -1:
    """Fills a C rule from an RrlRule; raises ValueError for a field out of bounds."""
    check_bounds(rule, RRL_BOUNDS)
    rrl_rule_set(c, rule.rate, rule.instant, rule.slip)
    return 0


cdef class RrlTable(SourceTable):
    """One thread's table for ``entries`` prefixes (a power of two, at least 4), 16 bytes each.

    ``secret`` is 144 random bytes, given only by tests that must be reproducible.
    Raises ValueError for other sizes, MemoryError when memory runs out.
    """

    def __cinit__(self, uint32_t entries=1 << 16, bytes secret=None):
        secret = self._open(entries, RRL_WAYS, rrl_table_bytes(entries), secret, RRL_KEYS)
        self.c = rrl_table_init(
            self.state, entries, <const hash_key *><const char *>secret
        )

    def passes(self, rule, bytes source not None, uint64_t now_ns):
        """Whether an answer may be sent to ``source``; if so it is counted.

        ``source`` is an address in network order, 4 or 16 bytes; ``now_ns`` is CLOCK_MONOTONIC.
        Raises ValueError for another length, or a rule out of bounds or without a rate.
        """
        cdef rrl_rule c
        cdef rrl_slots slots
        cdef uint8_t version = 4 if len(source) == 4 else 6
        if len(source) not in (4, 16):
            raise ValueError(f"an address of {len(source)} bytes: 4 or 16 are needed")
        rrl_rule_take(&c, rule)
        if not c.rate:
            raise ValueError("rate = 0 limits nobody")
        rrl_locate(self.c, <const uint8_t *><const char *>source, version, &slots)
        return rrl_pass(&c, &slots, version, now_ns)
