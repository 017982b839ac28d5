from libc.stdint cimport int8_t, uint8_t, uint32_t, uint64_t

from xdpkit._core._source_table cimport SourceTable, hash_key

cdef extern from "admit/ratelimit.h" nogil:
    cdef struct limit_rule:
        int8_t interval
        uint8_t burst
        uint8_t leak
        uint8_t kod
        uint8_t ipv4_prefix
        uint8_t ipv6_prefix
    cdef struct limit_table:
        pass
    ctypedef enum limit_outcome "enum limit_outcome":
        LIMIT_PASS
        LIMIT_LEAK
        LIMIT_KOD
        LIMIT_DROP
        LIMIT_OUTCOMES
    enum:
        LIMIT_INTERVAL_MIN
        LIMIT_INTERVAL_MAX
        LIMIT_BURST_MAX
        LIMIT_SHARE_MAX
        LIMIT_KEYS
        LIMIT_WAYS
    size_t limit_table_bytes(uint32_t entries)
    limit_table *limit_table_init(void *memory, uint32_t entries, const hash_key *key)
    uint64_t limit_hash(const limit_table *table, const limit_rule *rule, const uint8_t *source,
                        uint8_t ip_version)
    void limit_prefetch(const limit_table *table, uint64_t hash)
    limit_outcome limit_check(limit_table *table, const limit_rule *rule, uint64_t hash,
                              uint64_t now_ns, uint32_t random)

cdef int limit_rule_set(limit_rule *c, rule) except -1


cdef class LimitTable(SourceTable):
    cdef limit_table *c
