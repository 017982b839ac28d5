# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Rules and tables of the response rate limits (``admit/rrl.h``), and their rootless door for tests."""

from typing import NamedTuple

from xdpkit._core._source_table cimport SourceTable, check_bounds


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
    check_bounds(rule, RRL_BOUNDS)
    rrl_rule_set(c, rule.rate, rule.instant, rule.slip)
    return 0


cdef class RrlTable(SourceTable):
    """One thread's table for ``entries`` prefixes (a power of two, 4 at least), 16 bytes each.

    ``secret`` is 144 random bytes; what is given is for tests that must repeat.
    Raises ValueError for other sizes, MemoryError when there is no room.
    """

    def __cinit__(self, uint32_t entries=1 << 16, bytes secret=None):
        secret = self._open(entries, RRL_WAYS, rrl_table_bytes(entries), secret, RRL_KEYS)
        self.c = rrl_table_init(
            self.state, entries, <const hash_key *><const char *>secret
        )

    def passes(self, rule, bytes source not None, uint64_t now_ns):
        """Whether an answer may be sent to ``source``, which is then counted.

        ``source`` is an address in network order, 4 or 16 bytes; ``now_ns`` monotonic nanoseconds.
        Raises ValueError for another length, a rule out of bounds or without a rate.
        """
        cdef rrl_rule c
        cdef rrl_slots slots
        cdef uint8_t version = 4 if len(source) == 4 else 6
        if len(source) not in (4, 16):
            raise ValueError(f"an address of {len(source)} bytes")
        rrl_rule_take(&c, rule)
        if not c.rate:
            raise ValueError("rate = 0 limits nobody")
        rrl_locate(self.c, <const uint8_t *><const char *>source, version, &slots)
        return rrl_pass(&c, &slots, version, now_ns)
