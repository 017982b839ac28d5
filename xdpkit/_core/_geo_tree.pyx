# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""The search tree of a MaxMind database (``geo/tree.h``), as arrays."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from array import array

cdef extern from "geo/tree.h" nogil:
    cdef struct geo_tree:
        const uint8_t *node
        uint32_t nodes
        uint32_t record_bits
    cdef struct geo_subtree:
        uint32_t root
        uint32_t bits
        uint32_t skipped
    enum:
        GEO_TREE_ENDLESS
        GEO_TREE_LARGE
    int64_t geo_tree_walk(const geo_tree *tree, const geo_subtree *part, uint32_t most,
                          void *start, uint32_t *record)
    uint32_t geo_tree_child(const geo_tree *tree, uint32_t node, uint32_t second)
    uint32_t geo_translate(void *start, uint32_t bits, uint32_t *record, uint32_t count,
                           const uint32_t *key, const uint32_t *value, uint32_t keys)


cdef class Tree:
    """The first bytes of a database: ``nodes`` nodes with records of ``record_bits`` bits.

    Raises ValueError if the bytes have no room for it.
    """
    cdef const uint8_t[::1] data
    cdef geo_tree c

    def __cinit__(self, const uint8_t[::1] data not None, uint32_t nodes, uint32_t record_bits):
        if record_bits not in (24, 28, 32):
            raise ValueError(f"records of {record_bits} bits")
        if not nodes or <uint64_t>nodes * (record_bits // 4) > <uint64_t>len(data):
            raise ValueError("the tree is larger than the file")
        self.data = data
        self.c.node, self.c.nodes, self.c.record_bits = &data[0], nodes, record_bits

    def first_below(self, int levels):
        """The first node, or what is in its place, that many levels below the first one."""
        cdef uint32_t node = 0
        for _ in range(levels):
            if node >= self.c.nodes:
                break
            node = geo_tree_child(&self.c, node, 0)
        return node

    def walk(self, uint32_t root, int bits, uint32_t skipped, uint32_t most):
        """Starts of ranges of addresses of 32 or 64 bits, and of each its record, 0 for none.

        Those are of the node ``root`` without ``skipped``. Raises ValueError with the reason for a
        tree without end, or with more than ``most`` networks.
        """
        cdef geo_subtree part
        cdef uint32_t[::1] narrow, record
        cdef uint64_t[::1] wide
        cdef void *start
        cdef int64_t count
        if bits not in (32, 64):
            raise ValueError(f"{bits} bits")
        part.root, part.bits, part.skipped = root, bits, skipped
        with nogil:
            count = geo_tree_walk(&self.c, &part, most, NULL, NULL)
        if count == GEO_TREE_ENDLESS:
            raise ValueError("a tree without end")
        if count == GEO_TREE_LARGE:
            raise ValueError(f"more than {most} networks")
        starts, records = zeros("I" if bits == 32 else "Q", count), zeros("I", count)
        record = records
        if bits == 32:
            narrow = starts
            start = &narrow[0]
        else:
            wide = starts
            start = &wide[0]
        with nogil:
            geo_tree_walk(&self.c, &part, most, start, &record[0])
        return starts, records


def translate(starts not None, records not None, const uint32_t[::1] keys not None,
              const uint32_t[::1] values not None):
    """Replaces records by values: ``keys`` has all of them in ascending order.

    Neighbors that become the same are one range then.
    """
    cdef uint32_t[::1] narrow, record = records
    cdef uint64_t[::1] wide
    cdef uint32_t bits = 8 * starts.itemsize, left
    cdef void *start
    if not len(keys) or len(keys) != len(values) or len(starts) != len(records):
        raise ValueError("not a value for each key, or a record for each start")
    if bits == 32:
        narrow = starts
        start = &narrow[0]
    else:
        wide = starts
        start = &wide[0]
    with nogil:
        left = geo_translate(start, bits, &record[0], record.shape[0], &keys[0], &values[0],
                             keys.shape[0])
    narrow = record = None
    wide = None
    del starts[left:], records[left:]


def is_sound(starts not None, const uint32_t[::1] indexes not None, uint32_t values):
    """Whether starts ascend from 0, and each has an index below ``values``."""
    cdef const uint32_t[::1] narrow
    cdef const uint64_t[::1] wide
    cdef Py_ssize_t i, count = indexes.shape[0]
    cdef bint sound = count > 0 and len(starts) == count
    if not sound:
        return False
    if starts.itemsize == 4:
        narrow = starts
        sound = narrow[0] == 0
        for i in range(1, count):
            sound &= narrow[i - 1] < narrow[i]
    else:
        wide = starts
        sound = wide[0] == 0
        for i in range(1, count):
            sound &= wide[i - 1] < wide[i]
    for i in range(count):
        sound &= indexes[i] < values
    return sound


def zeros(code, count):
    """An array of so many zeros."""
    return array(code, [0]) * count
