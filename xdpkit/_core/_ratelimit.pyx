# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Rules and tables of the rate limits (``admit/ratelimit.h``), with checks that tests can call."""

from typing import NamedTuple

from xdpkit._core._source_table cimport SourceTable, check_bounds


class RateLimitRule(NamedTuple):
    """struct ratelimit_rule; the defaults are chrony's ``ratelimit``, for single addresses."""

    interval: int = 3
    burst: int = 8
    leak: int = 2
    kod: int = 0
    ipv4_prefix: int = 32
    ipv6_prefix: int = 64


# The lowest and highest value of each field.
RATELIMIT_BOUNDS = {
    "interval": (RATELIMIT_INTERVAL_MIN, RATELIMIT_INTERVAL_MAX),
    "burst": (1, RATELIMIT_BURST_MAX),
    "leak": (0, RATELIMIT_SHARE_MAX),
    "kod": (0, RATELIMIT_SHARE_MAX),
    "ipv4_prefix": (1, 32),
    "ipv6_prefix": (1, 128),
}

# Names of enum ratelimit_outcome.
OUTCOMES = ("pass", "leak", "kod", "drop")


cdef int limit_rule_set(ratelimit_rule *c, rule) except -1:
    """Fills a C rule from a RateLimitRule; raises ValueError for a field out of bounds."""
    check_bounds(rule, RATELIMIT_BOUNDS)
    c.interval, c.burst, c.leak, c.kod, c.ipv4_prefix, c.ipv6_prefix = rule
    return 0


cdef class RateLimitTable(SourceTable):
    """One thread's table for ``entries`` sources (a power of two, at least 4), 16 bytes each.

    ``secret`` is 32 random bytes, given only by tests that must be reproducible.
    Raises ValueError for other sizes, MemoryError when memory runs out.
    """

    def __cinit__(self, uint32_t entries=1 << 20, bytes secret=None):
        secret = self._open(entries, RATELIMIT_WAYS, ratelimit_table_bytes(entries), secret,
                            RATELIMIT_KEYS)
        self.c = ratelimit_table_init(
            self.state, entries, <const hash_key *><const char *>secret
        )

    def check(self, rule, bytes source not None, uint64_t now_ns, uint32_t random):
        """Counts a request and returns its outcome's name (OUTCOMES).

        ``source`` is an address in network order, 4 or 16 bytes; ``now_ns`` is CLOCK_MONOTONIC;
        ``random`` is 32 random bits. Raises ValueError for another length or a rule out of bounds.
        """
        cdef ratelimit_rule c
        cdef const uint8_t *address = <const uint8_t *><const char *>source
        cdef uint64_t key
        if len(source) not in (4, 16):
            raise ValueError(f"an address of {len(source)} bytes: 4 or 16 are needed")
        limit_rule_set(&c, rule)
        key = ratelimit_hash(self.c, &c, address, 4 if len(source) == 4 else 6)
        ratelimit_prefetch(self.c, key)
        return OUTCOMES[<int>ratelimit_check(self.c, &c, key, now_ns, random)]
