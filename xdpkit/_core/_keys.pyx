# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""NTP's symmetric keys (``ntp/keys.h``): the table that snapshots point to, and access for tests.

A Keys owns its table: whoever publishes a pointer to it keeps the Keys until the grace period is
over. A Digest owns one answering thread's libcrypto contexts. ``digest`` and ``check`` call what
the answering threads call, for unit tests.
"""

from libc.errno cimport EEXIST, EINVAL, EIO, EOPNOTSUPP

cdef extern from * nogil:
    """
    static const char *const algorithm_names[] = {
    #define XDPKIT_ALGORITHM_NAME(name, bytes) #name,
        NTP_ALGORITHMS(XDPKIT_ALGORITHM_NAME)
    };
    """
    const char *algorithm_names[]

# In the order of enum ntp_algorithm.
ALGORITHMS = tuple(algorithm_names[i].decode() for i in range(NTP_ALGORITHM_COUNT))

# Without the key's secret, which must never appear in a message.
cdef dict REFUSALS = {
    -EINVAL: "the id is 0, or the secret's length is wrong",
    -EOPNOTSUPP: "libcrypto does not offer its algorithm",
    -EEXIST: "the id appears twice",
    -EIO: "libcrypto failed",
}


cdef class Digest:
    """The libcrypto contexts with which one thread at a time makes and checks digests.

    Raises MemoryError.
    """

    def __cinit__(self):
        if ntp_digest_open(&self.c) != 0:
            raise MemoryError()

    def __dealloc__(self):
        ntp_digest_close(&self.c)


# For this module's functions, used under the GIL.
cdef Digest module_digest = Digest()


cdef class Keys:
    """An immutable table of keys, each ``(id, algorithm, secret, slot)``.

    ``algorithm`` is a name of ALGORITHMS, ``secret`` 1 to 2048 bytes (AES128 16, AES256 32), and
    ``slot`` the caller's number for the key, 32 bits: the index of its counters. The table's copies
    of the secrets are overwritten before its memory is freed.
    Raises ValueError, naming the key by its id, for an invalid key or a duplicate id; OverflowError
    for an id or a slot beyond 32 bits.
    """

    def __cinit__(self, keys):
        cdef list rows = list(keys)
        cdef bytes secret
        cdef int refused
        self.c = ntp_keys_new(len(rows), sum(len(row[2]) for row in rows))
        if self.c is NULL:
            raise MemoryError()
        for key_id, algorithm, secret, slot in rows:
            if algorithm not in ALGORITHMS:
                raise ValueError(f"key {key_id}: its algorithm is none of {', '.join(ALGORITHMS)}")
            refused = ntp_keys_add(self.c, &module_digest.c, key_id, ALGORITHMS.index(algorithm),
                                   <const uint8_t *><const char *>secret, len(secret), slot)
            if refused:
                raise ValueError(f"key {key_id}: {REFUSALS[refused]}")

    def counter(self, uint32_t key_id):
        """The index of the key's counters. Raises KeyError when there is no such key."""
        return self.find(key_id).counter

    cdef const ntp_key *find(self, uint32_t key_id) except NULL:
        cdef const ntp_key *key = ntp_keys_find(self.c, key_id)
        if key is NULL:
            raise KeyError(key_id)
        return key

    def __dealloc__(self):
        ntp_keys_free(self.c)


def offered_algorithms():
    """The names of ALGORITHMS that libcrypto offers here: no MD5 under FIPS."""
    return frozenset(
        name for i, name in enumerate(ALGORITHMS) if module_digest.c.offered & <uint32_t>1 << i
    )


def digest(Keys keys not None, uint32_t key_id, bytes data not None, uint8_t version=4):
    """The digest that a MAC of this key carries after ``data`` in a message of that version.

    Raises KeyError when there is no such key.
    """
    cdef uint8_t mac[NTP_DIGEST_MAX]
    cdef const uint8_t *message = <const uint8_t *><const char *>data
    cdef uint32_t length = ntp_digest_make(&module_digest.c, keys.find(key_id), version, message,
                                           len(data), mac)
    return mac[:length]


def check(Keys keys not None, uint32_t key_id, bytes data not None, bytes mac not None,
          uint8_t version=4):
    """Whether ``mac`` is the digest of ``data``, in the length that version uses.

    Raises KeyError when there is no such key.
    """
    return ntp_digest_check(&module_digest.c, keys.find(key_id), version,
                            <const uint8_t *><const char *>data, len(data),
                            <const uint8_t *><const char *>mac, len(mac))
