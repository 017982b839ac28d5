# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""An answering thread's tables and counts, owned by Python (``runtime/thread_state.h``)."""

from libc.stdlib cimport free
from libc.string cimport memset

import secrets

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)

cdef extern from "base/huge_map.h" nogil:
    void *huge_map(size_t size)
    void huge_unmap(void *base, size_t size)

# Where the true transmit time of a frame comes from, in the order of enum transmit_source.
TRANSMIT_SOURCES = ("kick", "completion", "hardware")

# The size of the kernel's TX metadata, which precedes a packet.
TX_METADATA_BYTES = TRANSMIT_METADATA_BYTES

# Query types below the last of these are counted on their own.
DNS_TYPES = DNS_TYPE_SLOTS
# From these sizes on, in bytes, all queries and all replies are counted together.
DNS_LARGEST = {
    "query_size": (DNS_QUERY_SIZES - 1) << DNS_SIZE_SHIFT,
    "reply_size": (DNS_REPLY_SIZES - 1) << DNS_SIZE_SHIFT,
}

# One per process, so that the sketches of its threads can be merged.
_CLIENTS_SEED = secrets.randbits(64)


cdef class ThreadState:
    """The state of one answering thread; it must outlive the thread.

    ``interleaved`` is the number of saved timestamps for the interleaved mode, ``limited`` the
    number of sources whose rate is limited, ``answers`` the number of prefixes for RRL: powers of
    two from 4 up, 16 bytes each; 0 turns each of them off. ``compensate`` predicts the transmit
    error. Raises MemoryError, ValueError.
    """

    def __cinit__(self, uint32_t interleaved=0, uint32_t limited=0, bint compensate=False,
                  uint32_t answers=0):
        if interleaved and (interleaved < 4 or interleaved & (interleaved - 1)):
            raise ValueError(
                f"{interleaved} saved timestamps: a power of two is needed, at least 4")
        self.c = <thread_state *>aligned_alloc(64, (sizeof(thread_state) + 63) & ~<size_t>63)
        if self.c is NULL:
            raise MemoryError()
        memset(self.c, 0, sizeof(thread_state))
        self.c.random = secrets.randbits(64) | 1
        self.seed_draws(secrets.randbits(64))
        self.c.seed = _CLIENTS_SEED
        self.c.transmit.compensate = compensate
        if ntp_digest_open(&self.c.digest) != 0:
            raise MemoryError()
        if interleaved:
            self.saved_bytes = <size_t>interleaved * 16
            self.saved = huge_map(self.saved_bytes)
            if self.saved is NULL:
                raise MemoryError()
            # Touched now, so that the first packets take no page faults.
            memset(self.saved, 0, self.saved_bytes)
            ntp_saved_open(&self.c.saved, self.saved, interleaved)
        if limited:
            self.limits = RateLimitTable(limited)
            self.c.ratelimit_table = self.limits.c
        if answers:
            self.answers = RrlTable(answers)
            self.c.rrl = self.answers.c

    def seed_draws(self, uint64_t seed):
        """Makes the draws of GeoDNS those of this seed: for tests, before the thread runs."""
        geo_generator_seed(&self.c.draws, seed)

    def counters(self):
        """A copy of the NTP counters (``ntp/counts.h``); ``clients`` is the sketch's registers."""
        cdef ntp_counts *n = &self.c.counts
        return {
            "version": [
                n.refused[i] + sum(n.request[8 * i + mode] for mode in range(8)) for i in range(8)
            ],
            "mode": [sum(n.request[8 * i + mode] for i in range(8)) for mode in range(8)],
            "key": [n.key[i] for i in range(NTP_KEY_SLOTS)],
            "leaked": n.leaked,
            "steps": n.steps,
            "tx_true": n.tx_true,
            "tx_missing": n.tx_missing,
            "tx_disbelieved": n.tx_disbelieved,
            "tx_error": {
                error_floor(i): n.tx_error[i] for i in range(NTP_ERROR_BUCKETS) if n.tx_error[i]
            },
            "clients": bytes(n.clients[:NTP_CLIENTS]),
            "transmit": {
                "source": TRANSMIT_SOURCES[self.c.transmit.source],
                "base_ns": self.c.transmit.fit.base_ns,
                "slope_ns": self.c.transmit.fit.slope_ns,
            },
        }

    def latency(self):
        """A copy of the histogram (``runtime/latency.h``): counts by the lower bound of a bucket.

        ``buckets`` are the bounds in nanoseconds; ``from_loop`` counts those that are measured from
        the loop's clock, for want of a stamp.
        """
        cdef latency *found = &self.c.latency
        return {
            "sum_ns": found.sum_ns,
            "from_loop": found.from_loop,
            "buckets": {
                latency_floor(i): found.bucket[i]
                for i in range(LATENCY_BUCKETS) if found.bucket[i]
            },
        }

    def dns_counters(self):
        """A copy of the DNS counters (``dns/counts.h``)."""
        return self.c.dns

    def dns_traffic(self):
        """A copy of what was asked and answered (``dns/counts.h``), by what occurred.

        ``type`` is by query type, the last of DNS_TYPES for all others, ``zone`` by a zone's slot
        (``zone_slots``); sizes are by the first of 16 bytes, the largest for all above.
        """
        cdef dns_traffic *t = &self.c.traffic
        return {
            "ipv4": sum(t.kind[i] for i in range(DNS_KINDS) if not i & DNS_KIND_IPV6),
            "ipv6": sum(t.kind[i] for i in range(DNS_KINDS) if i & DNS_KIND_IPV6),
            "edns": sum(t.kind[i] for i in range(DNS_KINDS) if i & DNS_KIND_EDNS),
            "do": sum(t.kind[i] for i in range(DNS_KINDS) if i & DNS_KIND_DO),
            "query_bytes": t.query_bytes,
            "reply_bytes": t.reply_bytes,
            "zone": {i: t.zone[i] for i in range(DNS_ZONE_SLOTS) if t.zone[i]},
            "type": {i: t.type[i] for i in range(DNS_TYPE_SLOTS) if t.type[i]},
            "query_size": {
                i << DNS_SIZE_SHIFT: t.query_size[i]
                for i in range(DNS_QUERY_SIZES) if t.query_size[i]
            },
            "reply_size": {
                i << DNS_SIZE_SHIFT: t.reply_size[i]
                for i in range(DNS_REPLY_SIZES) if t.reply_size[i]
            },
        }

    def __dealloc__(self):
        if self.saved is not NULL:
            huge_unmap(self.saved, self.saved_bytes)
        if self.c is not NULL:
            ntp_digest_close(&self.c.digest)
        free(self.c)


def latency_floor(uint32_t index):
    """The least nanoseconds in a bucket: the inverse of latency_bucket()."""
    cdef uint32_t step = 1 << LATENCY_STEP_BITS
    return index if index < step else <uint64_t>(step + index % step) << (index // step - 1)


def latency_index(uint64_t ns):
    """The index of the bucket that a duration falls in."""
    return latency_bucket(ns)


def error_bucket(int64_t ns):
    """The index of the bucket of the transmit error histogram that ``ns`` falls in."""
    return ntp_error_bucket(ns)


cdef int64_t error_floor(uint32_t index):
    """The value of a bucket nearest to zero, in nanoseconds: the inverse of error_bucket()."""
    cdef bint negative = index < <uint32_t>NTP_ERROR_SIDE
    cdef uint32_t at = NTP_ERROR_SIDE - 1 - index if negative else index - NTP_ERROR_SIDE
    cdef int64_t size = at if at < 32 else <int64_t>(16 + at % 16) << (at // 16 - 1)
    return -size if negative else size
