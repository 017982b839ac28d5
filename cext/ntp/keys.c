// SPDX-License-Identifier: Apache-2.0
/*
 * The API of OpenSSL 1.1.1, which offers MD5_Init() and its siblings without deprecation warnings:
 * they keep their state on the stack, whereas EVP_DigestInit_ex2() in OpenSSL 3.0 (Debian 12)
 * allocates it for every digest. AES uses EVP, the only interface to the CPU's AES instructions.
 */
#define OPENSSL_API_COMPAT 10101

#include "ntp/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/md5.h>
#include <openssl/sha.h>

#include "base/bytes.h"

/* Bytes encrypted per call, a multiple of the block: a request without extension fields fits. */
#define CMAC_CHUNK 64

/* The reduction polynomial of doubling in GF(2^128): Rb in RFC 4493 section 2.3. */
#define CMAC_POLYNOMIAL 0x87

static const uint8_t zero_block[NTP_CMAC_BYTES];

/* A cipher's key length in bytes, 16 or 32; 0 for a hash, which takes any length. */
static size_t cipher_key_bytes(enum ntp_algorithm algorithm)
{
	return algorithm < NTP_AES128 ? 0 : algorithm == NTP_AES128 ? 16 : 32;
}

int ntp_digest_open(struct ntp_digest *digest)
{
	static const char *const hash[] = {"MD5", "SHA1", "SHA256", "SHA384", "SHA512"};
	static const char *const cipher[] = {"AES-128-CBC", "AES-256-CBC"};

	*digest = (struct ntp_digest){0};
	/* Algorithms that the system's crypto policy forbids cannot be fetched. */
	for (int i = 0; i < NTP_AES128; i++) {
		EVP_MD *md = EVP_MD_fetch(NULL, hash[i], NULL);

		digest->offered |= (uint32_t)(md != NULL) << i;
		EVP_MD_free(md);
	}
	for (int i = 0; i < 2; i++) {
		EVP_CIPHER *aes = EVP_CIPHER_fetch(NULL, cipher[i], NULL);
		EVP_CIPHER_CTX *context = aes ? EVP_CIPHER_CTX_new() : NULL;
		bool ready = context && EVP_EncryptInit_ex2(context, aes, NULL, NULL, NULL);

		digest->cipher[i] = context;
		digest->offered |= (uint32_t)ready << (NTP_AES128 + i);
		EVP_CIPHER_free(aes);
		if (aes && !ready) {
			ntp_digest_close(digest);
			return -ENOMEM;
		}
	}
	/* Failed fetches must not show up as errors to the next reader of the error queue. */
	ERR_clear_error();
	return 0;
}

void ntp_digest_close(struct ntp_digest *digest)
{
	EVP_CIPHER_CTX_free(digest->cipher[0]);
	EVP_CIPHER_CTX_free(digest->cipher[1]);
	*digest = (struct ntp_digest){0};
}

/* ---------------------------------------------------------------------------------------------- */

/* Starts CBC with a key. The default padding is added by EVP_EncryptFinal(), which is never
 * called. */
static EVP_CIPHER_CTX *cbc_start(struct ntp_digest *digest, enum ntp_algorithm algorithm,
				 const uint8_t *secret)
{
	EVP_CIPHER_CTX *context = digest->cipher[algorithm - NTP_AES128];

	return EVP_EncryptInit_ex2(context, NULL, secret, zero_block, NULL) ? context : NULL;
}

/* Multiplies a block by x in GF(2^128). */
static void double_block(const uint8_t *in, uint8_t *out)
{
	uint64_t high = load_be64(in), low = load_be64(in + 8);

	store_be64(out, high << 1 | low >> 63);
	/* A mask, not a branch: the bit depends on the key. */
	store_be64(out + 8, low << 1 ^ (CMAC_POLYNOMIAL & -(high >> 63)));
}

/* RFC 4493 section 2.3, Generate_Subkey. */
static int make_subkeys(struct ntp_digest *digest, struct ntp_key *key)
{
	EVP_CIPHER_CTX *context = cbc_start(digest, key->algorithm, key->secret);
	uint8_t block[NTP_CMAC_BYTES];
	int written;

	if (!context || !EVP_EncryptUpdate(context, block, &written, zero_block, sizeof block))
		return -EIO;
	double_block(block, key->subkey[0]);
	double_block(key->subkey[0], key->subkey[1]);
	OPENSSL_cleanse(block, sizeof block);
	return 0;
}

/* RFC 4493 section 2.4: CBC with a zero IV, the last block XORed with a subkey. */
static bool cmac(struct ntp_digest *digest, const struct ntp_key *key, const uint8_t *data,
		 uint32_t length, uint8_t *mac)
{
	EVP_CIPHER_CTX *context = cbc_start(digest, key->algorithm, key->secret);
	const uint8_t *subkey = key->subkey[0];
	uint8_t chunk[CMAC_CHUNK], *last;
	uint32_t padded;
	int written;

	if (!context)
		return false;
	for (; length > sizeof chunk; data += sizeof chunk, length -= sizeof chunk)
		if (!EVP_EncryptUpdate(context, chunk, &written, data, sizeof chunk))
			return false;
	if (length)
		memcpy(chunk, data, length);
	padded = length;
	if (!length || length % NTP_CMAC_BYTES) {
		padded = length / NTP_CMAC_BYTES * NTP_CMAC_BYTES + NTP_CMAC_BYTES;
		chunk[length] = 0x80;
		memset(chunk + length + 1, 0, padded - length - 1);
		subkey = key->subkey[1];
	}
	last = chunk + padded - NTP_CMAC_BYTES;
	for (int i = 0; i < NTP_CMAC_BYTES; i++)
		last[i] ^= subkey[i];
	if (!EVP_EncryptUpdate(context, chunk, &written, chunk, (int)padded))
		return false;
	memcpy(mac, last, NTP_CMAC_BYTES);
	return true;
}

/* H(secret || message): RFC 5905 section 7.3, "Message Digest". */
#define HASH_FUNCTION(name, prefix, context)                                                   \
	static bool name(const struct ntp_key *key, const uint8_t *data, uint32_t length,      \
			 uint8_t *whole)                                                       \
	{                                                                                      \
		context state;                                                                 \
                                                                                               \
		return prefix##_Init(&state) &&                                                \
		       prefix##_Update(&state, key->secret, key->length) &&                    \
		       prefix##_Update(&state, data, length) && prefix##_Final(whole, &state); \
	}

HASH_FUNCTION(hash_md5, MD5, MD5_CTX)
HASH_FUNCTION(hash_sha1, SHA1, SHA_CTX)
HASH_FUNCTION(hash_sha256, SHA256, SHA256_CTX)
HASH_FUNCTION(hash_sha384, SHA384, SHA512_CTX)
HASH_FUNCTION(hash_sha512, SHA512, SHA512_CTX)

/* The full digest, before truncation for version 4. */
static bool compute(struct ntp_digest *digest, const struct ntp_key *key, const uint8_t *data,
		    uint32_t length, uint8_t *whole)
{
	switch ((enum ntp_algorithm)key->algorithm) {
	case NTP_MD5:
		return hash_md5(key, data, length, whole);
	case NTP_SHA1:
		return hash_sha1(key, data, length, whole);
	case NTP_SHA256:
		return hash_sha256(key, data, length, whole);
	case NTP_SHA384:
		return hash_sha384(key, data, length, whole);
	case NTP_SHA512:
		return hash_sha512(key, data, length, whole);
	case NTP_AES128:
	case NTP_AES256:
		return cmac(digest, key, data, length, whole);
	case NTP_ALGORITHM_COUNT:
		break;
	}
	return false;
}

uint32_t ntp_digest_bytes(enum ntp_algorithm algorithm, uint8_t version)
{
#define NTP_ALGORITHM_BYTES(name, bytes) bytes,
	static const uint8_t whole[] = {NTP_ALGORITHMS(NTP_ALGORITHM_BYTES)};
	uint32_t bytes = whole[algorithm];

	return version < 4 || bytes < NTP_DIGEST_MAX_V4 ? bytes : NTP_DIGEST_MAX_V4;
}

uint32_t ntp_digest_make(struct ntp_digest *digest, const struct ntp_key *key, uint8_t version,
			 const uint8_t *data, uint32_t length, uint8_t *mac)
{
	uint32_t bytes = ntp_digest_bytes(key->algorithm, version);
	uint8_t whole[NTP_DIGEST_MAX];

	if (!compute(digest, key, data, length, whole))
		return 0;
	memcpy(mac, whole, bytes);
	return bytes;
}

bool ntp_digest_check(struct ntp_digest *digest, const struct ntp_key *key, uint8_t version,
		      const uint8_t *data, uint32_t length, const uint8_t *mac, uint32_t mac_length)
{
	uint8_t whole[NTP_DIGEST_MAX];

	return mac_length == ntp_digest_bytes(key->algorithm, version) &&
	       compute(digest, key, data, length, whole) &&
	       CRYPTO_memcmp(mac, whole, mac_length) == 0;
}

/* ---------------------------------------------------------------------------------------------- */

/* Bytes a key occupies in the table, padded so that the next one is aligned. */
static size_t key_room(size_t secret_bytes)
{
	size_t align = _Alignof(struct ntp_key);

	return (offsetof(struct ntp_key, secret) + secret_bytes + align - 1) / align * align;
}

struct ntp_keys *ntp_keys_new(uint32_t count, size_t secret_bytes)
{
	uint32_t bits = 1;
	size_t head, size;
	struct ntp_keys *keys;

	while (1ull << bits < 2ull * count)
		bits++;
	head = sizeof *keys + (sizeof keys->slot[0] << bits);
	/* Padding per key is less than its alignment. */
	size = head + count * key_room(_Alignof(struct ntp_key) - 1) + secret_bytes;
	if (count >> 30 || secret_bytes >> 32 || size >> 32)
		return NULL;
	keys = calloc(1, size);
	if (!keys)
		return NULL;
	keys->left = count;
	keys->used = (uint32_t)head;
	keys->size = (uint32_t)size;
	keys->bits = bits;
	return keys;
}

int ntp_keys_add(struct ntp_keys *keys, struct ntp_digest *digest, uint32_t id,
		 enum ntp_algorithm algorithm, const uint8_t *secret, size_t length,
		 uint32_t counter)
{
	size_t wanted = cipher_key_bytes(algorithm), room = key_room(length);
	struct ntp_keys_slot *slot = &keys->slot[ntp_keys_slot(keys, id)];
	struct ntp_key *key = (void *)((uint8_t *)keys + keys->used);

	if (!id || !length || length > NTP_SECRET_MAX || (wanted && length != wanted))
		return -EINVAL;
	if (!(digest->offered >> algorithm & 1))
		return -EOPNOTSUPP;
	if (slot->id)
		return -EEXIST;
	if (!keys->left || room > keys->size - keys->used)
		return -ENOSPC;
	*key = (struct ntp_key){
		.id = id, .counter = counter, .length = (uint16_t)length, .algorithm = algorithm};
	memcpy(key->secret, secret, length);
	if (wanted && make_subkeys(digest, key) < 0)
		return -EIO;
	*slot = (struct ntp_keys_slot){.id = id, .offset = keys->used};
	keys->used += (uint32_t)room;
	keys->left--;
	return 0;
}

void ntp_keys_free(struct ntp_keys *keys)
{
	if (keys)
		OPENSSL_cleanse(keys, keys->size);
	free(keys);
}
