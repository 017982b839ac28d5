# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""A zone's arena: a node for each name, with the finished reply images for its types.

What a node has is chosen here; the bytes of an image are made by ``cext/compile/body.c``, and their
places found by ``cext/compile/arena.c``.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINVAL, ENOMEM
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, qsort, realloc
from libc.string cimport memset

import os
import secrets

from xdpkit._core._geo_tables cimport GeoTables
from xdpkit._core._rrset cimport RRset, rdata_at, rdata_count
from xdpkit._core._zone_arena cimport (
    BODY_ADDITIONAL, BODY_ANSWER, BODY_AUTHORITY, ZONE_KIND_NODATA, ZONE_KIND_NOERROR,
    ZONE_KIND_NXDOMAIN, ZONE_KIND_REFERRAL, ZONE_NODE_ALIAS, ZONE_NODE_APEX, ZONE_NODE_CUT,
    ZONE_NODE_CHOICE, ZONE_NODE_DNAME, ZONE_NODE_GEO, ZONE_NODE_UNPROVEN, arena,
    arena_add_choice, arena_add_type, arena_close, arena_end,
    arena_image, arena_node, arena_node_c, arena_open, arena_set_fallback, arena_set_provable,
    arena_set_secure, arena_set_wildcard, arena_size, arena_write, body, body_add, body_begin,
    body_begin_optional, body_end, body_is_trimmed, body_kind, body_question, body_record,
    body_section, zone_denial, zone_kind)
from xdpkit._core._zone_denial cimport Denial, Proof, name_proof
from xdpkit._core._zone_tree cimport (
    TYPE_CNAME, TYPE_DNAME, TYPE_DS, TYPE_NS, TYPE_RRSIG, TYPE_SOA, Tree, find_type, is_below,
    name_labels, name_parse)

cdef extern from "dns/wire.h" nogil:
    enum:
        RCODE_NOERROR

cdef extern from "zone/zone.h" nogil:
    enum:
        ZONE_NAME_MAX

cdef enum:
    # RFC 1035 section 4.1.1.
    RCODE_NXDOMAIN = 3
    # Names between two progress reports.
    STEP = 20000
    # Types whose targets' addresses are added.
    TYPE_A = 1
    TYPE_MX = 15
    TYPE_AAAA = 28
    TYPE_SRV = 33
    TYPE_SVCB = 64
    TYPE_HTTPS = 65


class ArenaTooLarge(Exception):
    """The arena is larger than what was allowed, once the name of an RRset is written."""

    def __init__(self, rrset, size):
        super().__init__(size)
        self.rrset, self.size = rrset, size


cdef inline const uint8_t *bytes_of(bytes data) noexcept:
    return <const uint8_t *>PyBytes_AS_STRING(data)


cdef bytes ROOT = b"\0"


cdef bint is_address(RRset rrset) noexcept:
    return (rrset.rdtype == TYPE_A or rrset.rdtype == TYPE_AAAA or rrset.rdtype == TYPE_RRSIG and (
        rrset.covers == TYPE_A or rrset.covers == TYPE_AAAA))


cdef int target_at(uint16_t rdtype) noexcept:
    """The offset of a host in RDATA, whose addresses are added; -1 for other types.

    RFC 1035 sections 3.3.9 and 3.3.11, RFC 2782, RFC 9460 section 4.1.
    """
    if rdtype == TYPE_NS:
        return 0
    if rdtype == TYPE_MX or rdtype == TYPE_SVCB or rdtype == TYPE_HTTPS:
        return 2
    return 6 if rdtype == TYPE_SRV else -1


cdef bytes host_at(bytes rdata, Py_ssize_t at):
    """The name at an offset in RDATA, lower-cased."""
    cdef name_labels name
    cdef Py_ssize_t room = PyBytes_GET_SIZE(rdata) - at
    if room <= 0 or not name_parse(&name, bytes_of(rdata) + at, room):
        raise ValueError("malformed name in RDATA")
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(rdata) + at, name.length).lower()


cdef int compare_keys(const void *left, const void *right) noexcept nogil:
    cdef uint64_t a = (<const uint64_t *>left)[0]
    cdef uint64_t b = (<const uint64_t *>right)[0]
    return (a > b) - (a < b)


cdef void sort(uint64_t *key, size_t count) noexcept nogil:
    cdef size_t i, to
    cdef uint64_t each
    if count > 32:
        qsort(key, count, sizeof(uint64_t), compare_keys)
        return
    for i in range(1, count):
        each, to = key[i], i
        while to and key[to - 1] > each:
            key[to] = key[to - 1]
            to -= 1
        key[to] = each


cdef struct group:
    # Of the sorted keys, those of one type.
    uint16_t rdtype
    size_t start, end


cdef class Scratch:
    """The body that images are made in; it is large, so zones take turns."""

    cdef body *c

    def __cinit__(self):
        self.c = <body *>calloc(1, sizeof(body))
        if self.c is NULL:
            raise MemoryError
        self.c.names.seed = secrets.randbits(64)

    def __dealloc__(self):
        free(self.c)


cdef list idle = []


cdef class ArenaWriter:
    """Writes the arena of a zone into ``fd``, from byte ``start`` on, a multiple of 64.

    ``seed`` is that of its hash table, ``most`` the largest size before ArenaTooLarge is raised.
    ``geo`` has the choices of a GeoDNS zone; their names are in the tree.
    """

    cdef Tree tree
    cdef Denial denial
    cdef GeoTables geo
    cdef arena a
    cdef Scratch scratch
    cdef body *made
    cdef uint64_t most
    cdef uint64_t *key
    cdef size_t keys, room
    cdef uint32_t nodata
    cdef dict places
    cdef list later_wildcards, later_provable, choices_left

    def __init__(self, Tree tree not None, Denial denial, int fd, uint64_t start, uint64_t seed,
                 uint64_t most, GeoTables geo=None):
        self.tree, self.denial, self.most, self.geo = tree, denial, most, geo
        self.scratch = idle.pop() if idle else Scratch()
        self.made = self.scratch.c
        # Of names that others refer to: enclosers of wildcards, and of names that opt-out omitted.
        self.places = {}
        self.later_wildcards, self.later_provable, self.choices_left = [], [], []
        arena_open(&self.a, fd, start, len(tree.nodes), seed)
        self._check()

    def __dealloc__(self):
        arena_close(&self.a)
        free(self.key)

    cdef int _check(self) except -1:
        cdef int error = self.a.error
        if error == 0:
            return 0
        if error == ENOMEM:
            raise MemoryError
        if self.a.too_large:
            raise ValueError("the arena is too large for 32-bit offsets")
        if error == EINVAL:
            raise ValueError("a malformed name or record, or another number of nodes")
        raise OSError(error, os.strerror(error))

    # ---------------------------------------------------------------------------------------------

    cdef int _begin(self, bytes name, bint shared, bint secure) except -1:
        cdef body_question question
        question.name, question.length = bytes_of(name), <uint32_t>PyBytes_GET_SIZE(name)
        question.shared, question.secure = shared, secure
        if body_begin(self.made, &question):
            raise ValueError(f"{name!r} is not a name")
        return 0

    cdef int _add(self, body_section section, bytes owner, RRset rrset, int64_t ttl=-1) except -1:
        """Appends an RRset; the owner None is the question's name."""
        cdef Py_ssize_t at
        for at in range(rdata_count(rrset)):
            self._add_record(section, owner, rrset, rdata_at(rrset, at), ttl)
        return 0

    cdef int _add_record(self, body_section section, bytes owner, RRset rrset, bytes rdata,
                         int64_t ttl=-1) except -1:
        cdef body_record record
        record.owner, record.owner_length = NULL, 0
        if owner is not None:
            record.owner, record.owner_length = bytes_of(owner), <uint32_t>PyBytes_GET_SIZE(owner)
        record.type = rrset.rdtype
        record.ttl = rrset.ttl if ttl < 0 else <uint32_t>ttl
        record.rdata = bytes_of(rdata)
        record.length = <uint32_t>min(PyBytes_GET_SIZE(rdata), 0x10000)
        if body_add(self.made, section, &record):
            raise ValueError(f"malformed record of type {rrset.rdtype}")
        return 0

    cdef int _add_chosen(self, list rrsets, const group *chosen) except -1:
        """Appends the RRset of a type to the answer, and with DO its signatures."""
        cdef size_t i
        cdef RRset rrset
        for i in range(chosen.start, chosen.end):
            rrset = rrsets[<uint32_t>self.key[i] >> 1]
            if rrset.rdtype == chosen.rdtype:
                self._add(BODY_ANSWER, None, rrset)
        if self.made.secure:
            for i in range(chosen.start, chosen.end):
                rrset = rrsets[<uint32_t>self.key[i] >> 1]
                if rrset.rdtype == TYPE_RRSIG and rrset.covers == chosen.rdtype:
                    self._add(BODY_ANSWER, None, rrset)
        return 0

    cdef int _add_type(self, body_section section, bytes owner, list rrsets, uint16_t rdtype,
                       int64_t ttl=-1) except -1:
        """Appends the RRset of a type, and with DO its signatures."""
        cdef RRset rrset
        for rrset in rrsets:
            if rrset.rdtype == rdtype:
                self._add(section, owner, rrset, ttl)
        if self.made.secure:
            for rrset in rrsets:
                if rrset.rdtype == TYPE_RRSIG and rrset.covers == rdtype:
                    self._add(section, owner, rrset, ttl)
        return 0

    cdef uint32_t _end(self, zone_kind kind, uint8_t rcode=RCODE_NOERROR) except? 0:
        """Writes the image that was begun; returns its place."""
        cdef body_kind whole
        cdef uint32_t size = body_end(self.made)
        whole.kind, whole.rcode = kind, rcode
        whole.authoritative = kind != ZONE_KIND_REFERRAL
        return arena_image(&self.a, self.made, size, &whole)

    # ---------------------------------------------------------------------------------------------

    cdef list _addresses(self, list hosts):
        """Each host once, followed by the RRsets of its addresses and their signatures."""
        cdef bytes host
        cdef list found = []
        if len(hosts) > 1:
            hosts = list(dict.fromkeys(hosts))
        for host in hosts:
            rrsets = self.tree.addresses(host)
            if rrsets:
                found.append(host)
                found.append(rrsets)
        return found

    cdef int _add_addresses(self, list found) except -1:
        """Adds such addresses; without DO no signatures, and glue has none."""
        cdef Py_ssize_t i
        cdef RRset rrset
        for i in range(0, len(found), 2):
            for rrset in <list>found[i + 1]:
                # A message has no room for more, and they may be more than a zone has records.
                if body_is_trimmed(self.made):
                    return 0
                if self.made.secure or rrset.rdtype != TYPE_RRSIG:
                    self._add(BODY_ADDITIONAL, found[i], rrset)
        return 0

    cdef uint32_t _negative(self, RRset soa, int64_t ttl, zone_kind kind, uint8_t rcode,
                            bint secure) except? 0:
        """A denial for any name of the zone, with the SOA that says how long it may be cached (RFC
        2308 section 3). C adds the proofs."""
        cdef bytes origin = self.tree.origin
        self._begin(origin, True, secure)
        self._add_type(BODY_AUTHORITY, origin, self.tree.nodes[origin], TYPE_SOA, ttl)
        return self._end(kind, rcode)

    cdef uint32_t _negatives(self, RRset soa, int64_t ttl, zone_kind kind,
                             uint8_t rcode) except? 0:
        cdef uint32_t plain = self._negative(soa, ttl, kind, rcode, False)
        if self.denial is not None:
            arena_set_secure(&self.a, plain, self._negative(soa, ttl, kind, rcode, True))
        return plain

    cdef uint32_t _referral(self, bytes cut, list rrsets, list required, list optional,
                            uint32_t number, bint secure) except? 0:
        """For a cut and every name below it: its NS records, the proof of whether it is signed, and
        addresses. Those below the cut are required, others are optional: RFC 9471 section 3."""
        self._begin(cut, True, secure)
        self._add(BODY_AUTHORITY, cut, find_type(rrsets, TYPE_NS))
        if secure:
            self._add_type(BODY_AUTHORITY, cut, rrsets, TYPE_DS)
            if find_type(rrsets, TYPE_DS) is None:
                self._prove_insecure(cut, number)
        self._add_addresses(required)
        body_begin_optional(self.made)
        self._add_addresses(optional)
        return self._end(ZONE_KIND_REFERRAL)

    cdef uint32_t _referrals(self, bytes cut, list rrsets, uint32_t number) except? 0:
        cdef bytes rdata
        cdef list hosts = [host_at(rdata, 0) for rdata in find_type(rrsets, TYPE_NS).rdatas]
        cdef list required = self._addresses([host for host in hosts if is_below(host, cut)])
        cdef list optional = self._addresses([host for host in hosts if not is_below(host, cut)])
        cdef uint32_t plain = self._referral(cut, rrsets, required, optional, number, False)
        if self.denial is not None:
            arena_set_secure(
                &self.a, plain, self._referral(cut, rrsets, required, optional, number, True))
        return plain

    cdef int _prove_insecure(self, bytes cut, uint32_t number) except -1:
        cdef name_proof found = self.denial.proof_of(number)
        if found.is_match or not self.denial.hashed:
            self._prove(self.denial.at(found.rank))
            return 0
        self.denial.find_above(cut, found.rank)
        self._prove(self.denial.at(self.denial.above_rank))
        if self.denial.closer_rank != self.denial.above_rank:
            self._prove(self.denial.at(self.denial.closer_rank))
        return 0

    cdef int _prove(self, Proof proof) except -1:
        cdef RRset rrset
        if proof.rdata is None:
            self._add(BODY_AUTHORITY, proof.owner, proof.rrset)
        else:
            self._add_record(BODY_AUTHORITY, proof.owner, proof.rrset, proof.rdata)
        for rrset in proof.rrsets:
            if rrset.rdtype == TYPE_RRSIG and rrset.covers == proof.rrset.rdtype:
                self._add(BODY_AUTHORITY, proof.owner, rrset)
        return 0

    # ---------------------------------------------------------------------------------------------

    cdef uint32_t _positive(self, bytes name, list rrsets, const group *chosen, list hosts,
                            bint secure) except? 0:
        """The records of one type at an owner."""
        self._begin(name, False, secure)
        self._add_chosen(rrsets, chosen)
        if hosts is not None:
            body_begin_optional(self.made)
            self._add_addresses(hosts)
        return self._end(ZONE_KIND_NOERROR)

    cdef uint32_t _positives(self, bytes name, list rrsets, const group *chosen) except? 0:
        cdef list hosts = self._hosts(rrsets, chosen)
        cdef uint32_t plain = self._positive(name, rrsets, chosen, hosts, False)
        if self.denial is not None:
            arena_set_secure(&self.a, plain, self._positive(name, rrsets, chosen, hosts, True))
        return plain

    cdef list _hosts(self, list rrsets, const group *chosen):
        """The addresses of the hosts in an answer, RFC 1034 section 4.3.2 step 6; None if records
        of its type lead to none."""
        cdef int at = target_at(chosen.rdtype)
        cdef list found = []
        cdef size_t i
        cdef RRset rrset
        cdef bytes rdata
        if at < 0:
            return None
        for i in range(chosen.start, chosen.end):
            rrset = rrsets[<uint32_t>self.key[i] >> 1]
            if rrset.rdtype == chosen.rdtype:
                found += [host_at(rdata, at) for rdata in rrset.rdatas]
        if (chosen.rdtype == TYPE_SVCB or chosen.rdtype == TYPE_HTTPS) and ROOT in found:
            return self._own_addresses(rrsets, chosen) + self._addresses(found)
        return self._addresses(found)

    cdef list _own_addresses(self, list rrsets, const group *chosen):
        """The addresses of an owner that is its service's host: RFC 9460 section 2.5. None for an
        alias, where it means that there is no service."""
        cdef RRset rrset
        cdef bytes rdata
        for rrset in rrsets:
            if rrset.rdtype == chosen.rdtype and any(
                    rdata[2:3] == ROOT and rdata[:2] != b"\0\0" for rdata in rrset.rdatas):
                break
        else:
            return []
        return [None, [rrset for rrset in rrsets if is_address(rrset)]]

    cdef uint32_t _choose(self, list rrsets) except? 0xffffffff:
        """Sorts RRsets and signatures by the type that they belong to, into ``key``: type, number
        in the list, and whether it is a signature of that type. Returns how many types there are;
        a signature without what it signs is only an RRSIG."""
        cdef size_t count = len(rrsets), number = 0
        cdef uint32_t types = 0
        cdef uint64_t before = 1 << 20
        cdef RRset rrset
        if 2 * count > self.room:
            self.key = <uint64_t *>grown(self.key, 4 * count * sizeof(uint64_t))
            self.room = 4 * count
        self.keys = 0
        for rrset in rrsets:
            self.key[self.keys] = <uint64_t>rrset.rdtype << 33 | number << 1
            self.keys += 1
            if rrset.rdtype == TYPE_RRSIG:
                self.key[self.keys] = <uint64_t>rrset.covers << 33 | number << 1 | 1
                self.keys += 1
            number += 1
        sort(self.key, self.keys)
        for number in range(self.keys):
            if not self.key[number] & 1 and self.key[number] >> 33 != before:
                before = self.key[number] >> 33
                types += 1
        return types

    cdef int _add_types(self, bytes name, list rrsets, int32_t only) except -1:
        """Writes an image for each type that was chosen, or ``only`` one; C gives NODATA for
        others, and at an alias the image of the CNAME, from where it goes on."""
        cdef group chosen
        cdef uint32_t image
        cdef bint own
        chosen.end = 0
        while chosen.end < self.keys:
            chosen.start = chosen.end
            chosen.rdtype = <uint16_t>(self.key[chosen.start] >> 33)
            self._add_choices(chosen.rdtype)
            own = False
            while chosen.end < self.keys and self.key[chosen.end] >> 33 == chosen.rdtype:
                own |= not self.key[chosen.end] & 1
                chosen.end += 1
            if own and (only < 0 or only == chosen.rdtype):
                image = self._positives(name, rrsets, &chosen)
                arena_add_type(&self.a, chosen.rdtype, image)
                if chosen.rdtype == TYPE_CNAME:
                    arena_set_fallback(&self.a, image)
        self._add_choices(1 << 16)
        return 0

    cdef int _add_choices(self, int32_t before) except -1:
        """Adds the node's choices for types below one."""
        while self.choices_left and (<tuple>self.choices_left[0])[0] < before:
            rdtype, choice = self.choices_left.pop(0)
            if choice < 0:
                arena_add_type(&self.a, rdtype, self.nodata)
            else:
                arena_add_choice(&self.a, rdtype, self.geo.choice(choice))
        return 0

    cdef uint32_t _begin_choices(self, bytes name, arena_node_c *node) except? 0:
        """Has a node have its choices; returns how many types they are of."""
        self.choices_left = []
        found = self.geo.nodes.get(name)
        if found is None:
            return 0
        choices, fallback = found
        self.choices_left = list(choices)
        node.flags |= ZONE_NODE_GEO
        if fallback >= 0:
            node.flags |= ZONE_NODE_CHOICE
            node.fallback = self.geo.choice(fallback)
        return len(choices)

    # ---------------------------------------------------------------------------------------------

    cdef bint _deny(self, bytes name, uint32_t number, bint is_cut, zone_denial *denial) except -1:
        """The proofs that precede a node; whether it has none of its own."""
        cdef Denial chain = self.denial
        cdef name_proof found = chain.proof_of(number)
        memset(denial, 0, sizeof(denial[0]))
        if not found.is_match and chain.hashed:
            chain.find_above(name, found.rank)
            denial.match = chain.at(chain.above_rank).part
            denial.cover = chain.at(chain.closer_rank).part
            denial.provable = self.places.get(chain.above, 0)
            return True
        denial.match = chain.at(found.rank).part
        if not is_cut and not (self.tree.wildcards and name in self.tree.wildcards):
            denial.cover = chain.at(chain.no_wildcard(name, found.rank)).part
        return False

    cdef int _write_node(self, bytes name, list rrsets, uint32_t number) except -1:
        cdef arena_node_c node
        cdef zone_denial denial
        cdef bint omitted = False
        cdef uint32_t place
        cdef uint32_t types = self._choose(rrsets)
        node.name, node.length = bytes_of(name), <uint32_t>PyBytes_GET_SIZE(name)
        node.flags = flags_of(rrsets)
        node.fallback = self.nodata
        node.denial = NULL
        if self.tree.cuts and name in self.tree.cuts:
            node.flags = ZONE_NODE_CUT
            types = find_type(rrsets, TYPE_DS) is not None
        elif node.length == <uint32_t>PyBytes_GET_SIZE(self.tree.origin):
            node.flags |= ZONE_NODE_APEX
        if self.geo is not None:
            types += self._begin_choices(name, &node)
        node.types = <uint16_t>types
        if self.denial is not None:
            omitted = self._deny(name, number, node.flags & ZONE_NODE_CUT, &denial)
            node.flags |= ZONE_NODE_UNPROVEN if omitted else 0
            node.denial = &denial
        place = arena_node(&self.a, &node)
        if node.flags & ZONE_NODE_CUT:
            self._add_types(name, rrsets, TYPE_DS)
            arena_set_fallback(&self.a, self._referrals(name, rrsets, number))
        else:
            self._add_types(name, rrsets, -1)
        self._check()
        self._refer(name, place, omitted, denial.provable if omitted else 0)
        return 0

    cdef int _refer(self, bytes name, uint32_t place, bint omitted, uint32_t provable) except -1:
        """Remembers and sets what refers from a node to another."""
        cdef bytes above
        if (self.denial is not None and self.denial.opt_out and not omitted) or (
                self.tree.wildcards and name in self.tree.wildcards):
            self.places[name] = place
        if omitted and not provable:
            self.later_provable.append((place, self.denial.above))
        if (bytes_of(name)[0] == 1 and bytes_of(name)[1] == c"*"
                and PyBytes_GET_SIZE(name) > PyBytes_GET_SIZE(self.tree.origin)):
            above = name[2:]
            if above in self.places:
                arena_set_wildcard(&self.a, self.places[above], place)
            else:
                self.later_wildcards.append((above, place))
        return 0

    def write(self, RRset soa not None, uint32_t serial, uint32_t names, uint32_t negative_ttl,
              progress):
        """Writes all of it; returns its size in bytes.

        ``soa``, ``serial``, ``names`` (owner names) and ``negative_ttl`` (seconds that a denial may
        be cached) are the zone's. ``progress`` is called with the number of nodes so far, every
        20,000. Raises ArenaTooLarge, OSError, MemoryError, and ValueError for more
        than 32-bit offsets or something malformed.
        """
        cdef bytes name
        cdef list rrsets
        cdef uint32_t number = 0
        cdef uint32_t place
        cdef uint32_t chain[3]
        memset(chain, 0, sizeof(chain))
        self.a.head.serial, self.a.head.names = serial, names
        self.a.head.nxdomain = self._negatives(
            soa, negative_ttl, ZONE_KIND_NXDOMAIN, RCODE_NXDOMAIN)
        self.nodata = self._negatives(soa, negative_ttl, ZONE_KIND_NODATA, RCODE_NOERROR)
        self.a.head.nodata = self.nodata
        if self.geo is not None:
            self._write_geo()
        if self.denial is not None:
            self.denial.write(&self.a, chain)
        self.a.head.chain, self.a.head.links, self.a.head.hashing = chain[0], chain[1], chain[2]
        for name, rrsets in self.tree.nodes.items():
            self._write_node(name, rrsets, number)
            if arena_size(&self.a) > self.most and rrsets:
                raise ArenaTooLarge(rrsets[0], arena_size(&self.a))
            number += 1
            if number % STEP == 0:
                PyErr_CheckSignals()
                if progress is not None:
                    progress(number - 1)
        for name, place in self.later_wildcards:
            arena_set_wildcard(&self.a, self.places[name], place)
        for place, name in self.later_provable:
            arena_set_provable(&self.a, place, self.places[name])
        return self._finish()

    cdef int _write_geo(self) except -1:
        """Writes what choices lead to, and the images in them, which are those of many names.

        They are made as a wildcard's are: with the question's own name as their owner, and the
        zone's name behind it.
        """
        cdef RRset rrset
        cdef bytes any_name = b"\x01*" + self.tree.origin
        if len(any_name) > ZONE_NAME_MAX:
            # Then the zone's own is the only name in it.
            any_name = self.tree.origin
        cdef list image_at = [0] * len(self.geo.images)
        for number in sorted(self.geo.used_images()):
            rrset = self.geo.images[number]
            self._begin(any_name, True, False)
            self._add(BODY_ANSWER, None, rrset)
            image_at[number] = self._end(ZONE_KIND_NOERROR)
            if arena_size(&self.a) > self.most:
                raise ArenaTooLarge(rrset, arena_size(&self.a))
        self.a.head.geo = self.geo.write(&self.a, image_at, self.nodata)
        self._check()
        return 0

    cdef object _finish(self):
        arena_end(&self.a)
        self._check()
        arena_write(&self.a)
        self._check()
        idle.append(self.scratch)
        self.made = NULL
        return self.a.head.size


cdef uint8_t flags_of(list rrsets) noexcept:
    cdef RRset rrset
    cdef uint8_t flags = 0
    for rrset in rrsets:
        if rrset.rdtype == TYPE_CNAME:
            flags |= ZONE_NODE_ALIAS
        elif rrset.rdtype == TYPE_DNAME:
            flags |= ZONE_NODE_DNAME
    return flags


cdef void *grown(void *block, size_t size) except NULL:
    block = realloc(block, size)
    if block is NULL:
        raise MemoryError
    return block
