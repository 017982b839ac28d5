/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NTP symmetric keys: the key table, and the digest that follows the key ID in a message
 * authentication code (MAC).
 *
 *   MD5, SHA1, SHA256, SHA384, SHA512   H(secret || message), RFC 5905 section 7.3
 *   AES128, AES256                      AES-CMAC, RFC 8573 and RFC 4493
 *
 * struct ntp_keys is built by the control plane, immutable afterwards, and shared by all threads.
 * struct ntp_digest belongs to one thread. ntp_digest_make() and ntp_digest_check() do not
 * allocate, lock, or make system calls.
 */
#ifndef XDPKIT_NTP_KEYS_H
#define XDPKIT_NTP_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/types.h>

#include "base/hash.h"

/* Types of chrony's key file by their names there, and the bytes of their whole digest. */
#define NTP_ALGORITHMS(X) \
	X(MD5, 16)        \
	X(SHA1, 20)       \
	X(SHA256, 32)     \
	X(SHA384, 48)     \
	X(SHA512, 64)     \
	X(AES128, 16)     \
	X(AES256, 16)

enum ntp_algorithm {
#define NTP_ALGORITHM_ID(name, bytes) NTP_##name,
	NTP_ALGORITHMS(NTP_ALGORITHM_ID)
#undef NTP_ALGORITHM_ID
		NTP_ALGORITHM_COUNT
};

/* The longest digest (SHA512), and the longest in version 4, where longer ones are truncated (RFC
 * 7822 section 3, chrony). */
#define NTP_DIGEST_MAX    64
#define NTP_DIGEST_MAX_V4 20

/* An AES block, and thus a CMAC digest: RFC 4493 section 2.3. */
#define NTP_CMAC_BYTES 16

/* Longest secret in bytes: more than fits on a line of chrony's key file (2047 bytes). */
#define NTP_SECRET_MAX 2048

/* One key; the secret and subkeys must never leave the process. */
struct ntp_key {
	uint32_t id;
	uint32_t counter; /* index of its counter, assigned by the control plane */
	uint16_t length;  /* of the secret, in bytes */
	uint8_t algorithm;
	uint8_t subkey[2][NTP_CMAC_BYTES]; /* K1 and K2 of RFC 4493 section 2.3; AES only */
	uint8_t secret[];
};

/* A slot of the hash table: open addressing, at most half full; id 0 marks an empty slot. */
struct ntp_keys_slot {
	uint32_t id;
	uint32_t offset; /* of its struct ntp_key, from the start of the table */
};

/* All keys in one position-independent allocation: header, slots, keys. */
struct ntp_keys {
	uint32_t left; /* keys that can still be added */
	uint32_t used; /* bytes used, up to the end of the last key */
	uint32_t size; /* bytes allocated */
	uint32_t bits; /* log2 of the number of slots */
	struct ntp_keys_slot slot[];
};

/* The slot of an id, or the empty slot where it would go. */
static inline uint32_t ntp_keys_slot(const struct ntp_keys *keys, uint32_t id)
{
	uint32_t at = (uint32_t)hash_fibonacci(id, keys->bits);

	while (keys->slot[at].id && keys->slot[at].id != id)
		at = (at + 1) & ((1u << keys->bits) - 1);
	return at;
}

/* The key with that id, or NULL; id 0 (crypto-NAK) is never found. */
static inline const struct ntp_key *ntp_keys_find(const struct ntp_keys *keys, uint32_t id)
{
	const struct ntp_keys_slot *slot = &keys->slot[ntp_keys_slot(keys, id)];

	return slot->id ? (const void *)((const uint8_t *)keys + slot->offset) : NULL;
}

/* One thread's libcrypto contexts. */
struct ntp_digest {
	uint32_t offered;          /* one bit per algorithm that libcrypto allows */
	EVP_CIPHER_CTX *cipher[2]; /* AES-128-CBC and AES-256-CBC */
};

/*
 * Opens the contexts, preferably on the thread that will use them. An algorithm that libcrypto does
 * not offer (MD5 under FIPS) just leaves its bit in `offered` clear. Returns 0 or -ENOMEM.
 */
int ntp_digest_open(struct ntp_digest *digest);

/* Clears and frees the contexts; a no-op on an all-zero struct. */
void ntp_digest_close(struct ntp_digest *digest);

/* A table for exactly `count` keys with `secret_bytes` in total; NULL if too large or no memory. */
struct ntp_keys *ntp_keys_new(uint32_t count, size_t secret_bytes);

/*
 * Copies a key into the table, before the table is published. Returns 0 or -EINVAL (id 0, or a
 * secret that is empty, too long, or of the wrong length for AES), -EOPNOTSUPP (not offered by
 * libcrypto), -EEXIST (duplicate id), -ENOSPC (more than ntp_keys_new() allowed for), -EIO
 * (libcrypto failed).
 */
int ntp_keys_add(struct ntp_keys *keys, struct ntp_digest *digest, uint32_t id,
		 enum ntp_algorithm algorithm, const uint8_t *secret, size_t length,
		 uint32_t counter);

/* Wipes the secrets, then frees the table; a no-op on NULL. */
void ntp_keys_free(struct ntp_keys *keys);

/*
 * Length in bytes of the digest in a message of that version: the only one accepted, and the one
 * sent. The full digest up to version 3, truncated to 20 bytes in version 4, as in chronyd 4.3.
 */
uint32_t ntp_digest_bytes(enum ntp_algorithm algorithm, uint8_t version);

/*
 * Computes the digest of the `length` bytes at `data`, the whole message before its MAC, and writes
 * it to `mac`, which has room for ntp_digest_bytes(); `version` is the message's. Returns the
 * number of bytes written; 0 if libcrypto failed and nothing was.
 */
uint32_t ntp_digest_make(struct ntp_digest *digest, const struct ntp_key *key, uint8_t version,
			 const uint8_t *data, uint32_t length, uint8_t *mac);

/*
 * Whether the `mac_length` bytes at `mac`, everything after the key ID, are the digest of the
 * `length` bytes at `data`. The comparison takes constant time.
 */
bool ntp_digest_check(struct ntp_digest *digest, const struct ntp_key *key, uint8_t version,
		      const uint8_t *data, uint32_t length, const uint8_t *mac,
		      uint32_t mac_length);

#endif
