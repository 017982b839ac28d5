# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Proofs that a name or a type does not exist, in presigned zones (RFC 4035, RFC 5155).

A proof is an NSEC or NSEC3 RRset with its signatures. Which ones an answer needs is decided here
for every name known when the zone is compiled; those for a missing name itself are found by
``cext/zone/denial.c``, in the same sorted chain.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from xdpkit._core._rrset cimport rdata_at, rdata_count
from xdpkit._core._zone_arena cimport (
    arena, arena_part, arena_part_end, arena_part_record, arena_put, body_record)
from xdpkit._core._zone_tree cimport (
    TYPE_DS, TYPE_NSEC, TYPE_NSEC3, TYPE_RRSIG, find_type, parent)


class Flaw(Exception):
    """A signed zone is incomplete: ``reason`` says how, ``rrset`` and the names where.

    ``unsigned-proof``, ``empty``, ``link``, ``unsigned``, ``unproved`` or ``too-large``.
    """

    def __init__(self, reason, rrset, name=b"", other=b""):
        super().__init__(reason)
        self.reason, self.rrset, self.name, self.other = reason, rrset, name, other


cdef inline const uint8_t *bytes_of(bytes data) noexcept:
    return <const uint8_t *>PyBytes_AS_STRING(data)


cdef bint is_signed(list rrsets, uint16_t rdtype) except -1:
    cdef RRset rrset
    for rrset in rrsets:
        if rrset.rdtype == TYPE_RRSIG and rrset.covers == rdtype:
            return True
    return False


cdef bint hash_in(bytes name, uint8_t *digest) noexcept:
    """Decodes the hash in a name's first label, base32hex (RFC 5155 section 3); false if none."""
    cdef const uint8_t *at = bytes_of(name)
    cdef uint32_t bits = 0, count = 0, digit
    cdef int i, out = 0
    if at[0] != 32:
        return False
    for i in range(1, 33):
        if c"0" <= at[i] <= c"9":
            digit = at[i] - c"0"
        elif c"a" <= at[i] <= c"v":
            digit = at[i] - c"a" + 10
        else:
            return False
        bits = bits << 5 | digit
        count += 5
        if count >= 8:
            count -= 8
            digest[out] = <uint8_t>(bits >> count)
            out += 1
    return True


@cython.no_gc
cdef class Proof:
    """An NSEC or NSEC3 RRset and its signatures, which are in ``rrsets``.

    ``rdata`` is the one record of an NSEC3 RRset that is of the chain, ``part`` its offset in the
    arena.
    """


cdef class Denial:
    """The sorted chain of a signed zone, and what it proves about the names that exist.

    ``hashing`` is None for NSEC, else the iterations and the salt of NSEC3. Errors about the whole
    zone are at ``error_at``. First take_hashed(), then a Tree is made, then link(); all of them
    raise Flaw.
    """

    def __init__(self, bytes origin not None, RRset error_at not None, hashing):
        cdef bytes salt
        self.origin, self.error_at = origin, error_at
        self.hashed = hashing is not None
        self.proofs, self.omitted = [], {}
        self.hashing = <zone_hashing *>self.hashing_bytes
        if self.hashed:
            self.hashing.iterations, salt = hashing
            self.hashing.salt_length = len(salt)
            memcpy(self.hashing_bytes + sizeof(zone_hashing), bytes_of(salt), len(salt))

    def __dealloc__(self):
        chain_close(&self.links)
        free(self.found)

    def take_hashed(self, dict nodes not None):
        """Takes the NSEC3 records out of a zone: their names cannot be queried (RFC 5155 section
        7.2.8). Those of this chain become proofs."""
        cdef bytes name
        cdef list rrsets
        cdef list found = []
        for name, rrsets in nodes.items():
            if find_type(rrsets, TYPE_NSEC3) is not None:
                found.append(name)
        for name in found:
            self._take(nodes, name)

    cdef object _take(self, dict nodes, bytes name):
        cdef list rrsets = nodes[name]
        cdef RRset nsec3 = find_type(rrsets, TYPE_NSEC3)
        cdef RRset rrset
        cdef list others = []
        cdef bytes rdata
        cdef Py_ssize_t number
        for rrset in rrsets:
            if rrset is not nsec3 and not (
                    rrset.rdtype == TYPE_RRSIG and rrset.covers == TYPE_NSEC3):
                others.append(rrset)
        if others:
            nodes[name] = others
        else:
            del nodes[name]
        for number in range(rdata_count(nsec3)):
            rdata = rdata_at(nsec3, number)
            # SHA-1, the only algorithm that there is.
            if rdata[0] != 1:
                continue
            if not is_signed(rrsets, TYPE_NSEC3):
                raise Flaw("unsigned-proof", nsec3, name)
            if self.hashed:
                self._add_hashed(name, nsec3, rdata, rrsets)

    cdef object _add_hashed(self, bytes name, RRset nsec3, bytes rdata, list rrsets):
        cdef const uint8_t *at = bytes_of(rdata)
        cdef Py_ssize_t salt = self.hashing.salt_length
        cdef uint8_t digest[SHA1_SIZE]
        cdef Py_ssize_t above = PyBytes_GET_SIZE(name) - 33
        if PyBytes_GET_SIZE(rdata) < 5 + salt or at[4] != salt or (
                at[2] << 8 | at[3]) != self.hashing.iterations:
            return
        if memcmp(at + 5, self.hashing_bytes + sizeof(zone_hashing), salt) != 0:
            return
        if above == PyBytes_GET_SIZE(self.origin) and hash_in(name, digest) and memcmp(
                bytes_of(name) + 33, bytes_of(self.origin), above) == 0:
            self._add(name, nsec3, rdata, rrsets, digest, SHA1_SIZE)
            self.opt_out |= at[1] & 1

    cdef object _add(self, bytes owner, RRset rrset, bytes rdata, list rrsets,
                     const uint8_t *key, uint32_t length):
        cdef Proof proof = Proof.__new__(Proof)
        proof.owner, proof.rrset, proof.rdata, proof.rrsets = owner, rrset, rdata, rrsets
        if chain_add(&self.links, key, length, <uint32_t>len(self.proofs)):
            raise MemoryError
        self.proofs.append(proof)

    # ---------------------------------------------------------------------------------------------

    def link(self, Tree tree not None):
        """Sorts the chain of a tree's names, and checks that it proves what it must."""
        if not self.hashed:
            self._collect(tree.nodes)
        if self.links.count == 0:
            raise Flaw("empty", self.error_at)
        chain_sort(&self.links)
        self._check_links()
        self._check_names(tree)

    cdef object _collect(self, dict nodes):
        cdef bytes name
        cdef list rrsets
        cdef RRset nsec
        cdef uint8_t key[ZONE_KEY_MAX]
        cdef uint32_t below
        for name, rrsets in nodes.items():
            nsec = find_type(rrsets, TYPE_NSEC)
            if nsec is not None:
                below = PyBytes_GET_SIZE(name) - PyBytes_GET_SIZE(self.origin)
                below = zone_canonical_key(bytes_of(name), below, key)
                self._add(name, nsec, None, rrsets, key, below)

    cdef object _check_links(self):
        cdef uint32_t rank, after
        cdef Proof proof
        for rank in range(self.links.count):
            after = rank + 1 if rank + 1 < self.links.count else 0
            proof = self.at(rank)
            if not self._leads_to(proof, after):
                raise Flaw("link", proof.rrset, proof.owner, self.at(after).owner)

    cdef bint _leads_to(self, Proof proof, uint32_t after) except -1:
        """Whether the next name or hash in a record is that of the link after it."""
        cdef const uint8_t *at
        cdef Py_ssize_t start
        cdef bytes rdata = proof.rdata, owner
        if not self.hashed:
            rdata, owner = rdata_at(proof.rrset, 0), self.at(after).owner
            start = PyBytes_GET_SIZE(owner)
            if PyBytes_GET_SIZE(rdata) >= start and memcmp(
                    bytes_of(rdata), bytes_of(owner), start) == 0:
                return True
            return rdata.lower().startswith(owner)
        start = 5 + self.hashing.salt_length
        at = bytes_of(rdata) + start
        return PyBytes_GET_SIZE(rdata) > start + SHA1_SIZE and at[0] == SHA1_SIZE and memcmp(
            at + 1, self.links.link[after].key, SHA1_SIZE) == 0

    cdef object _check_names(self, Tree tree):
        """Remembers for each name, in order, the rank of its proof, and whether it matches."""
        cdef bytes name
        cdef list rrsets
        cdef size_t count = len(tree.nodes)
        cdef size_t number = 0
        cdef uint32_t next_proof = 0, rank, i
        cdef truth is_match
        cdef bint is_cut
        cdef uint32_t *ranks = NULL
        cdef uint32_t *signed = <uint32_t *>calloc(1 << 16, sizeof(uint32_t))
        self.found = <uint32_t *>calloc(count, sizeof(uint32_t))
        try:
            if not self.hashed:
                ranks = <uint32_t *>calloc(self.links.count, sizeof(uint32_t))
            if self.found is NULL or signed is NULL or (not self.hashed and ranks is NULL):
                raise MemoryError
            for i in range(0 if self.hashed else self.links.count):
                ranks[self.links.link[i].proof] = i
            for name, rrsets in tree.nodes.items():
                is_cut = bool(tree.cuts) and name in tree.cuts
                self._check_signed(name, rrsets, is_cut, signed, <uint32_t>number + 1)
                is_match = True
                if self.hashed:
                    rank = self._hash(bytes_of(name), len(name), &is_match)
                elif find_type(rrsets, TYPE_NSEC) is not None:
                    rank = ranks[next_proof]
                    next_proof += 1
                else:
                    rank = self._sorted(bytes_of(name), len(name), &is_match)
                if not is_match and not self._may_be_omitted(rrsets, is_cut, rank):
                    raise Flaw("unproved", rrsets[0] if rrsets else self.error_at, name)
                self.found[number] = rank << 1 | is_match
                number += 1
        finally:
            free(ranks)
            free(signed)

    cdef bint _may_be_omitted(self, list rrsets, bint is_cut, uint32_t rank) except -1:
        """Opt-out may omit unsigned delegations, and the empty non-terminals above only those; an
        empty non-terminal has no NSEC."""
        if rrsets and not (self.hashed and is_cut and find_type(rrsets, TYPE_DS) is None):
            return False
        return not self.hashed or bytes_of(self.at(rank).rdata)[1] & 1

    cdef object _check_signed(self, bytes name, list rrsets, bint is_cut, uint32_t *signed,
                              uint32_t mark):
        """RFC 4035 section 2.2: a signature for each RRset that the zone is authoritative for.

        ``signed`` has the mark of this name for each type that has a signature.
        """
        cdef RRset rrset
        for rrset in rrsets:
            if rrset.rdtype == TYPE_RRSIG:
                signed[rrset.covers] = mark
        for rrset in rrsets:
            if rrset.rdtype == TYPE_RRSIG or signed[rrset.rdtype] == mark:
                continue
            if not is_cut or rrset.rdtype == TYPE_DS or rrset.rdtype == TYPE_NSEC:
                raise Flaw("unsigned", rrset, name)

    # ---------------------------------------------------------------------------------------------

    cdef Proof at(self, uint32_t rank):
        return self.proofs[self.links.link[rank].proof]

    cdef uint32_t _hash(self, const uint8_t *name, uint32_t length, truth *is_match) noexcept:
        """The rank of the NSEC3 that matches or covers a name."""
        cdef uint8_t digest[SHA1_SIZE]
        zone_hash_name(self.hashing, name, length, digest)
        return chain_cover(&self.links, digest, SHA1_SIZE, 0, is_match)

    cdef uint32_t _sorted(self, const uint8_t *name, uint32_t length, truth *is_match) noexcept:
        """The rank of the NSEC that matches or covers a name."""
        cdef uint8_t key[ZONE_KEY_MAX]
        length = zone_canonical_key(name, length - PyBytes_GET_SIZE(self.origin), key)
        return chain_cover(&self.links, key, length, 0, is_match)

    cdef name_proof proof_of(self, uint32_t number) noexcept:
        """That of the name with this number in the order of the nodes."""
        cdef name_proof found
        found.rank, found.is_match = self.found[number] >> 1, self.found[number] & 1
        return found

    cdef uint32_t no_wildcard(self, bytes name, uint32_t rank) noexcept:
        """The rank of what proves that no wildcard is under a name, ``rank`` being that of its own
        proof."""
        cdef uint8_t key[ZONE_KEY_MAX + 2]
        cdef uint32_t length = PyBytes_GET_SIZE(name)
        cdef truth is_match
        if self.hashed:
            memcpy(key, b"\1*", 2)
            memcpy(key + 2, bytes_of(name), length)
            return self._hash(key, length + 2, &is_match)
        length -= PyBytes_GET_SIZE(self.origin)
        length = zone_canonical_key(bytes_of(name), length, key)
        memcpy(key + length, b"*\0", 2)
        return chain_cover(&self.links, key, length + 2, rank, &is_match)

    cdef object find_above(self, bytes name, uint32_t rank):
        """Of a name that opt-out omitted: its closest ancestor that it did not, into ``above``,
        with the ranks of what matches that and what covers the next closer name (RFC 5155 section
        7.2.4)."""
        cdef list between = []
        cdef bytes up
        cdef truth is_match = False
        self.closer_rank = rank
        while True:
            up = parent(name)
            if up in self.omitted:
                self.above, self.above_rank, self.closer_rank = self.omitted[up]
                break
            if up == self.proved:
                self.above, self.above_rank = up, self.proved_rank
                break
            rank = self._hash(bytes_of(up), len(up), &is_match)
            if is_match:
                self.above = self.proved = up
                self.above_rank = self.proved_rank = rank
                break
            self.closer_rank = rank
            between.append(up)
            name = up
        for up in between:
            self.omitted[up] = self.above, self.above_rank, self.closer_rank

    # ---------------------------------------------------------------------------------------------

    cdef object write(self, arena *a, uint32_t *place):
        """Writes proofs, chain and hashing; their places are the header's chain, links, hashing."""
        cdef uint32_t rank
        cdef uint32_t count = self.links.count
        cdef size_t size = SHA1_SIZE + 4 if self.hashed else 4
        cdef uint8_t *links = <uint8_t *>calloc(count, size)
        cdef uint8_t *at = links
        cdef Proof proof
        if links is NULL:
            raise MemoryError
        try:
            for rank in range(count):
                proof = self.at(rank)
                self._write_part(a, proof, &self.links.link[rank])
                if self.hashed:
                    memcpy(at, self.links.link[rank].key, SHA1_SIZE)
                    at += SHA1_SIZE
                memcpy(at, &proof.part, 4)
                at += 4
            place[0], place[1] = arena_put(a, links, count * size), count
        finally:
            free(links)
        place[2] = 0
        if self.hashed:
            place[2] = arena_put(
                a, self.hashing_bytes, sizeof(zone_hashing) + self.hashing.salt_length)

    cdef object _write_part(self, arena *a, Proof proof, const chain_link *link):
        cdef RRset rrset
        cdef uint32_t labels = PyBytes_GET_SIZE(proof.owner) - PyBytes_GET_SIZE(self.origin)
        proof.part = arena_part(a, link.key, 0 if self.hashed else link.length,
                                bytes_of(proof.owner), labels)
        if proof.rdata is None:
            add_records(a, proof.rrset)
        else:
            add_record(a, proof.rrset, proof.rdata)
        for rrset in proof.rrsets:
            if rrset.rdtype == TYPE_RRSIG and rrset.covers == proof.rrset.rdtype:
                add_records(a, rrset)
        if arena_part_end(a) > 0xffff:
            raise Flaw("too-large", proof.rrset, proof.owner)


cdef object add_records(arena *a, RRset rrset):
    cdef Py_ssize_t at
    for at in range(rdata_count(rrset)):
        add_record(a, rrset, rdata_at(rrset, at))


cdef object add_record(arena *a, RRset rrset, bytes rdata):
    cdef body_record record
    memset(&record, 0, sizeof(record))
    record.type, record.ttl = rrset.rdtype, rrset.ttl
    record.rdata = bytes_of(rdata)
    record.length = <uint32_t>min(PyBytes_GET_SIZE(rdata), 0x10000)
    arena_part_record(a, &record)
