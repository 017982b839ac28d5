from libc.stdint cimport uint8_t, uint32_t

cdef extern from "ntp/keys.h" nogil:
    ctypedef int ntp_algorithm "enum ntp_algorithm"
    enum:
        NTP_ALGORITHM_COUNT
        NTP_DIGEST_MAX
    cdef struct ntp_key:
        uint32_t id
        uint32_t counter
    cdef struct ntp_keys:
        pass
    cdef struct ntp_digest:
        uint32_t offered
    const ntp_key *ntp_keys_find(const ntp_keys *keys, uint32_t id)
    int ntp_digest_open(ntp_digest *digest)
    void ntp_digest_close(ntp_digest *digest)
    ntp_keys *ntp_keys_new(uint32_t count, size_t secret_bytes)
    int ntp_keys_add(ntp_keys *keys, ntp_digest *digest, uint32_t id, ntp_algorithm algorithm,
                     const uint8_t *secret, size_t length, uint32_t counter)
    void ntp_keys_free(ntp_keys *keys)
    uint32_t ntp_digest_make(ntp_digest *digest, const ntp_key *key, uint8_t version,
                             const uint8_t *data, uint32_t length, uint8_t *mac)
    bint ntp_digest_check(ntp_digest *digest, const ntp_key *key, uint8_t version,
                          const uint8_t *data, uint32_t length, const uint8_t *mac,
                          uint32_t mac_length)


cdef class Keys:
    cdef ntp_keys *c
    cdef const ntp_key *find(self, uint32_t key_id) except NULL


cdef class Digest:
    cdef ntp_digest c
