from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from xdpkit._core._rrset cimport RRset
from xdpkit._core._zone_arena cimport arena
from xdpkit._core._zone_tree cimport Tree

cdef extern from "<stdbool.h>" nogil:
    ctypedef bint truth "bool"

cdef extern from "compile/chain.h" nogil:
    cdef struct chain_link:
        uint32_t proof
        uint32_t length
        const uint8_t *key
    cdef struct chain:
        chain_link *link
        uint32_t count
    int chain_add(chain *c, const uint8_t *key, uint32_t length, uint32_t proof)
    void chain_sort(chain *c)
    uint32_t chain_cover(const chain *c, const uint8_t *key, uint32_t length, uint32_t start,
                         truth *is_match)
    void chain_close(chain *c)

cdef extern from "zone/keys.h" nogil:
    enum:
        SHA1_SIZE
        ZONE_KEY_MAX
        ZONE_NAME_MAX
    cdef struct zone_hashing:
        uint16_t iterations
        uint8_t salt_length
    uint32_t zone_canonical_key(const uint8_t *name, uint32_t below, uint8_t *key)
    void zone_hash_name(const zone_hashing *hashing, const uint8_t *name, uint32_t length,
                        uint8_t *digest)


cdef struct name_proof:
    # Ranks in the chain: the record that lists the name's types, or covers it.
    uint32_t rank
    bint is_match


cdef class Proof:
    cdef readonly bytes owner
    cdef readonly RRset rrset
    cdef bytes rdata
    cdef list rrsets
    cdef uint32_t part


cdef class Denial:
    cdef readonly bytes origin
    cdef readonly RRset error_at
    cdef readonly bint hashed
    cdef readonly bint opt_out
    cdef chain links
    cdef list proofs
    cdef uint8_t hashing_bytes[260]
    cdef zone_hashing *hashing
    cdef uint32_t *found
    cdef dict omitted
    cdef bytes proved, above
    cdef uint32_t proved_rank, above_rank, closer_rank
    cdef object _take(self, dict nodes, bytes name)
    cdef object _add_hashed(self, bytes name, RRset nsec3, bytes rdata, list rrsets)
    cdef object _add(self, bytes owner, RRset rrset, bytes rdata, list rrsets,
                     const uint8_t *key, uint32_t length)
    cdef object _collect(self, dict nodes)
    cdef object _check_links(self)
    cdef bint _leads_to(self, Proof proof, uint32_t after) except -1
    cdef object _check_names(self, Tree tree)
    cdef object _check_signed(self, bytes name, list rrsets, bint is_cut, uint32_t *signed,
                              uint32_t mark)
    cdef bint _may_be_omitted(self, list rrsets, bint is_cut, uint32_t rank) except -1
    cdef uint32_t _hash(self, const uint8_t *name, uint32_t length, truth *is_match) noexcept
    cdef uint32_t _sorted(self, const uint8_t *name, uint32_t length, truth *is_match) noexcept
    cdef Proof at(self, uint32_t rank)
    cdef name_proof proof_of(self, uint32_t number) noexcept
    cdef uint32_t no_wildcard(self, bytes name, uint32_t rank) noexcept
    cdef object find_above(self, bytes name, uint32_t rank)
    cdef object _write_part(self, arena *a, Proof proof, const chain_link *link)
    cdef object write(self, arena *a, uint32_t *place)
