from libc.stdint cimport uint8_t, uint32_t, uint64_t

from xdpkit._core._source_table cimport SourceTable, hash_key

cdef extern from "admit/rrl.h" nogil:
    cdef struct rrl_rule:
        uint32_t rate
    cdef struct rrl_table:
        pass
    cdef struct rrl_slots:
        pass
    enum:
        RRL_RATE_MAX
        RRL_INSTANT_MAX
        RRL_SLIP_MAX
        RRL_KEYS
        RRL_WAYS
    void rrl_rule_set(rrl_rule *rule, uint32_t rate, uint32_t instant, uint32_t slip)
    size_t rrl_table_bytes(uint32_t entries)
    rrl_table *rrl_table_init(void *state, uint32_t entries, const hash_key *key)
    void rrl_locate(rrl_table *table, const uint8_t *source, uint8_t ip_version,
                    rrl_slots *slots)
    bint rrl_pass(const rrl_rule *rule, const rrl_slots *slots,
                  uint8_t ip_version, uint64_t now_ns)

cdef int rrl_rule_take(rrl_rule *c, rule) except -1


cdef class RrlTable(SourceTable):
    cdef rrl_table *c
