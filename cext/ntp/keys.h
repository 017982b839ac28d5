/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symmetric keys of NTP: the table of them, and the digest that a message authentication code (MAC)
 * carries behind its key id.
 *
 *   MD5, SHA1, SHA256, SHA384, SHA512   H(secret || message), RFC 5905 section 7.3
 *   AES128, AES256                      AES-CMAC, RFC 8573 and RFC 4493
 *
 * struct ntp_keys is built by the control plane, never changed afterwards, and shared by all
 * threads. struct ntp_digest is one thread's own. ntp_digest_make() and ntp_digest_check() do not
 * allocate, lock or call the kernel.
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

/* The longest digest, SHA512's; and in version 4, where longer ones are cut (RFC 7822 section 3,
 * chrony). */
#define NTP_DIGEST_MAX    64
#define NTP_DIGEST_MAX_V4 20

/* A block of AES, and so a digest of CMAC: RFC 4493 section 2.3. */
#define NTP_CMAC_BYTES 16

/* Longest secret in bytes: above what fits a line of chrony's key file (2047 bytes). */
#define NTP_SECRET_MAX 2048

/* One key; secret and subkey must never leave the process. */
struct ntp_key {
	uint32_t id;
	uint32_t counter; /* the control plane's number for it: index of its counters */
	uint16_t length;  /* bytes of secret */
	uint8_t algorithm;
	uint8_t subkey[2][NTP_CMAC_BYTES]; /* K1 and K2 of RFC 4493 section 2.3; AES only */
	uint8_t secret[];
};

/* A place of the hash table: open addressing, never more than half full; id 0 is no key's. */
struct ntp_keys_slot {
	uint32_t id;
	uint32_t offset; /* of its struct ntp_key, from the table's start */
};

/* All keys in one allocation, position independent: head, places, keys. */
struct ntp_keys {
	uint32_t left; /* keys that can still be added */
	uint32_t used; /* bytes up to the end of the last key */
	uint32_t size; /* bytes of all */
	uint32_t bits; /* log2 of the places */
	struct ntp_keys_slot slot[];
};

/* The place of an id, or the empty one where it would go. */
static inline uint32_t ntp_keys_slot(const struct ntp_keys *keys, uint32_t id)
{
	uint32_t at = (uint32_t)hash_fibonacci(id, keys->bits);

	while (keys->slot[at].id && keys->slot[at].id != id)
		at = (at + 1) & ((1u << keys->bits) - 1);
	return at;
}

/* The key of that id, or NULL; id 0 (a crypto-NAK's) is never found. */
static inline const struct ntp_key *ntp_keys_find(const struct ntp_keys *keys, uint32_t id)
{
	const struct ntp_keys_slot *slot = &keys->slot[ntp_keys_slot(keys, id)];

	return slot->id ? (const void *)((const uint8_t *)keys + slot->offset) : NULL;
}

/* One thread's libcrypto contexts. */
struct ntp_digest {
	uint32_t offered;          /* bit for each algorithm that libcrypto lets us use */
	EVP_CIPHER_CTX *cipher[2]; /* AES-128-CBC and AES-256-CBC */
};

/*
 * Opens the contexts; best called by the thread that will use them. Algorithms that libcrypto does
 * not offer (MD5 under FIPS) only leave their bit of `offered` clear. Returns 0 or -ENOMEM.
 */
int ntp_digest_open(struct ntp_digest *digest);

/* Clears and frees the contexts; harmless on one that is all zero. */
void ntp_digest_close(struct ntp_digest *digest);

/* A table with room for exactly `count` keys of `secret_bytes` together; NULL when too large. */
struct ntp_keys *ntp_keys_new(uint32_t count, size_t secret_bytes);

/*
 * Copies a key into the table, before it is published. Returns 0 or -EINVAL (id 0, a secret that is
 * empty or too long, or not of AES's length), -EOPNOTSUPP (not offered by libcrypto), -EEXIST (the
 * id is taken), -ENOSPC (more than was announced), -EIO (libcrypto failed).
 */
int ntp_keys_add(struct ntp_keys *keys, struct ntp_digest *digest, uint32_t id,
		 enum ntp_algorithm algorithm, const uint8_t *secret, size_t length,
		 uint32_t counter);

/* Overwrites the secrets, then frees; NULL is harmless. */
void ntp_keys_free(struct ntp_keys *keys);

/*
 * Bytes of the digest in a message of that version: the one length that is accepted in requests,
 * and sent. The whole digest up to version 3, cut to 20 bytes in version 4: as chronyd 4.3 does.
 */
uint32_t ntp_digest_bytes(enum ntp_algorithm algorithm, uint8_t version);

/*
 * Writes the digest of `length` bytes at `data`, all of the message before its MAC, to `mac`, where
 * ntp_digest_bytes() are free; `version` is the message's. Returns how many were written, 0 when
 * libcrypto failed and nothing was.
 */
uint32_t ntp_digest_make(struct ntp_digest *digest, const struct ntp_key *key, uint8_t version,
			 const uint8_t *data, uint32_t length, uint8_t *mac);

/*
 * Whether the `mac_length` bytes at `mac`, all of the message behind the key id, are the digest of
 * the `length` bytes at `data`. Takes the same time wherever they differ.
 */
bool ntp_digest_check(struct ntp_digest *digest, const struct ntp_key *key, uint8_t version,
		      const uint8_t *data, uint32_t length, const uint8_t *mac,
		      uint32_t mac_length);

#endif
