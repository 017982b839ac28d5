# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Views in their own memory, for the answering threads (``geo/view.h``), and how they are made."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

import ipaddress
from hashlib import blake2b

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)

cdef extern from *:
    ctypedef unsigned long long uint128 "unsigned __int128"

cdef extern from "geo/merge.h" nogil:
    cdef struct geo_places:
        const void *start
        const uint32_t *value
        const uint32_t *id
        uint32_t count
        uint32_t values
    cdef struct geo_spans:
        uint64_t *start
        uint32_t *combination
        uint32_t count
    cdef struct geo_combinations:
        uint32_t *id
        uint32_t tables
        uint32_t count
    enum geo_merge_result:
        GEO_MERGED
        GEO_NO_MEMORY
        GEO_DAMAGED
        GEO_TOO_MANY
    enum:
        GEO_TABLES_MAX
    geo_merge_result geo_merge(const geo_places *table, uint8_t ip_version, geo_combinations *all,
                               geo_spans *spans)
    void geo_spans_free(geo_spans *spans)
    void geo_combinations_free(geo_combinations *all)

cdef extern from "geo/view_build.h" nogil:
    cdef struct geo_view_source:
        const geo_spans *ipv4
        const geo_spans *ipv6
        const uint128 *exact_start
        const uint16_t *exact_class
        uint32_t exact
        uint32_t classes
        const void *text
        uint64_t texts
    void geo_classify(geo_spans *spans, const uint16_t *class_of)
    uint64_t geo_view_size(const geo_view_source *source)
    void geo_view_build(const geo_view_source *source, void *to)

CLASSES_MAX = GEO_CLASSES_MAX
EXACT = GEO_EXACT
ID_BYTES = GEO_VIEW_ID_BYTES


class TooManyError(ValueError):
    """More combinations, classes or ranges than a view can have."""


cdef class GeoView:
    """A copy of a view's block; immutable.

    Raises ValueError when the bytes are not such a block, MemoryError when memory runs out.
    """

    def __cinit__(self, const uint8_t[::1] block not None):
        cdef size_t size = len(block)
        # Rounded up: aligned_alloc requires a multiple of the alignment.
        self.c = <geo_view *>aligned_alloc(
            GEO_VIEW_ALIGN, (size // GEO_VIEW_ALIGN + 1) * GEO_VIEW_ALIGN)
        if self.c is NULL:
            raise MemoryError()
        cdef int valid
        with nogil:
            if size:
                memcpy(self.c, &block[0], size)
            valid = geo_view_open(self.c, size)
        if valid != 0:
            raise ValueError(f"{size} bytes that are not a view of this version of xdpkit")

    @property
    def classes(self):
        """How many classes it tells apart."""
        return self.c.classes

    @property
    def id(self):
        """Of its content and what it was made from."""
        return self.c.id[:GEO_VIEW_ID_BYTES]

    def digest(self):
        """BLAKE2b-256 of our copy of the block: equal views have equal ones, whoever made them."""
        cdef const uint8_t[::1] whole = <const uint8_t[:self.c.size]><const uint8_t *>self.c
        return blake2b(whole, digest_size=32).digest()

    def find(self, address):
        """The class of ``address`` (text or an ipaddress object), and the scope of an answer."""
        cdef bytes source = ipaddress.ip_address(address).packed
        cdef geo_found found = geo_view_find(self.c, <const uint8_t *><const char *>source,
                                             4 if len(source) == 4 else 6)
        return found.class_, found.scope

    def text(self, uint32_t number):
        """What a class is in words: its targets, and its coordinates or ""; None without texts."""
        cdef const uint8_t *text
        if number >= self.c.classes:
            raise IndexError(f"class {number} of {self.c.classes}")
        text = geo_view_text(self.c, number)
        if text is NULL:
            return None
        targets = text[1:1 + text[0]]
        text += 1 + text[0]
        return targets.decode(), text[1:1 + text[0]].decode()

    def find_all(self, const uint8_t[::1] addresses not None, int ip_version, int rounds=1):
        """Finds packed addresses of one version, several times: for measuring.

        Returns the sum of their classes and scopes.
        """
        cdef size_t each = 4 if ip_version == 4 else 16
        cdef size_t count = len(addresses) // each, i
        cdef uint64_t total = 0
        cdef geo_found found
        cdef int _turn
        if not count:
            return 0
        with nogil:
            for _turn in range(rounds):
                for i in range(count):
                    found = geo_view_find(self.c, &addresses[0] + i * each, ip_version)
                    total += found.class_ + found.scope
        return total

    def __dealloc__(self):
        free(self.c)


cdef class Merge:
    """Tables of ranges, merged (``geo/merge.h``).

    Each table is its values' ids, then starts and values of IPv4's ranges and of IPv6's. Raises
    ValueError for tables that are damaged, TooManyError, and MemoryError.
    """
    cdef geo_combinations all
    cdef geo_spans ipv4, ipv6
    cdef bint built

    def __cinit__(self, tables not None):
        if not 0 < len(tables) <= GEO_TABLES_MAX:
            raise ValueError(f"{len(tables)} tables")
        self.all.tables = len(tables)
        self._merge(tables, 4, &self.ipv4)
        self._merge(tables, 6, &self.ipv6)

    cdef _merge(self, tables, uint8_t version, geo_spans *spans):
        cdef const uint32_t[::1] ids, values, narrow
        cdef const uint64_t[::1] wide
        cdef geo_merge_result result
        cdef geo_places *table = <geo_places *>calloc(len(tables), sizeof(geo_places))
        if table is NULL:
            raise MemoryError()
        try:
            for i, (every, ipv4, ipv4_values, ipv6, ipv6_values) in enumerate(tables):
                ids = every
                values = ipv4_values if version == 4 else ipv6_values
                table[i].count, table[i].values = len(values), len(ids)
                if version == 4:
                    narrow = ipv4
                    table[i].start = &narrow[0]
                    whole = len(narrow) == len(values)
                else:
                    wide = ipv6
                    table[i].start = &wide[0]
                    whole = len(wide) == len(values)
                if not whole:
                    raise ValueError("a table with more starts than values, or fewer")
                table[i].value, table[i].id = &values[0], &ids[0]
            with nogil:
                result = geo_merge(table, version, &self.all, spans)
        finally:
            free(table)
        if result == GEO_NO_MEMORY:
            raise MemoryError()
        if result == GEO_TOO_MANY:
            raise TooManyError("too many combinations of what the tables have")
        if result == GEO_DAMAGED:
            raise ValueError("a table whose ranges do not ascend, or whose values it has not")

    def combinations(self):
        """What the tables have anywhere: of each combination an id for each table."""
        cdef uint32_t tables = self.all.tables, i, j
        return [tuple([self.all.id[<size_t>i * tables + j] for j in range(tables)])
                for i in range(self.all.count)]

    def build(self, const uint16_t[::1] class_of not None, uint32_t classes, list exact not None,
              bytes inputs not None, bytes texts not None=b""):
        """The block of the view, and its id, once; the id is of it and of ``inputs``.

        ``class_of`` has the class of each combination, or EXACT; ``exact`` has starts in ascending
        order, of 128 bits, each with its class; ``texts`` are the classes in words
        (``geo/view.h``). Raises TooManyError.
        """
        cdef geo_view_source source
        cdef uint64_t size
        cdef void *to
        if self.built or len(class_of) != self.all.count:
            raise ValueError("not a class for each combination, or built before")
        self.built = True
        cdef bytes starts = b"".join([start.to_bytes(16, "little") for start, _ in exact])
        cdef bytes exact_classes = b"".join([each.to_bytes(2, "little") for _, each in exact])
        source.ipv4, source.ipv6 = &self.ipv4, &self.ipv6
        source.exact_start = <const uint128 *><const void *><const char *>starts
        source.exact_class = <const uint16_t *><const void *><const char *>exact_classes
        source.exact, source.classes = len(exact), classes
        source.text, source.texts = <const void *><const char *>texts, len(texts)
        with nogil:
            geo_classify(&self.ipv4, &class_of[0])
            geo_classify(&self.ipv6, &class_of[0])
            size = geo_view_size(&source)
        if not size:
            raise TooManyError("more ranges than a view can have")
        cdef bytes block = PyBytes_FromStringAndSize(NULL, size)
        to = <void *><char *>block
        with nogil:
            geo_view_build(&source, to)
        digest = blake2b(inputs, digest_size=GEO_VIEW_ID_BYTES)
        digest.update(block)
        cdef bytes name = digest.digest()
        # Nobody else has it yet.
        memcpy((<geo_view *>to).id, <const char *>name, GEO_VIEW_ID_BYTES)
        return block, name

    def __dealloc__(self):
        geo_spans_free(&self.ipv4)
        geo_spans_free(&self.ipv6)
        geo_combinations_free(&self.all)
