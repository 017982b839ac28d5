from libc.stdint cimport int8_t, uint8_t, uint32_t, uint64_t

from xdpkit._core._source_table cimport SourceTable, hash_key

cdef extern from "admit/ratelimit.h" nogil:
    cdef struct ratelimit_rule:
        int8_t interval
        uint8_t burst
        uint8_t leak
        uint8_t kod
        uint8_t ipv4_prefix
        uint8_t ipv6_prefix
    cdef struct ratelimit_table:
        pass
    ctypedef enum ratelimit_outcome "enum ratelimit_outcome":
        RATELIMIT_PASS
        RATELIMIT_LEAK
        RATELIMIT_KOD
        RATELIMIT_DROP
        RATELIMIT_OUTCOMES
    enum:
        RATELIMIT_INTERVAL_MIN
        RATELIMIT_INTERVAL_MAX
        RATELIMIT_BURST_MAX
        RATELIMIT_SHARE_MAX
        RATELIMIT_KEYS
        RATELIMIT_WAYS
    size_t ratelimit_table_bytes(uint32_t entries)
    ratelimit_table *ratelimit_table_init(void *state, uint32_t entries, const hash_key *key)
    uint64_t ratelimit_hash(const ratelimit_table *table, const ratelimit_rule *rule,
                            const uint8_t *source, uint8_t ip_version)
    void ratelimit_prefetch(const ratelimit_table *table, uint64_t hash)
    ratelimit_outcome ratelimit_check(ratelimit_table *table, const ratelimit_rule *rule,
                                      uint64_t hash, uint64_t now_ns, uint32_t random)

cdef int limit_rule_set(ratelimit_rule *c, rule) except -1


cdef class RateLimitTable(SourceTable):
    cdef ratelimit_table *c
