// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer target for the table of NTP keys and its digests: any IDs, secrets, messages and MACs,
 * in buffers of exactly their size, so that ASAN catches any access out of bounds. Checked against
 * libcrypto's one-shot functions and a linear search.
 *
 * An input is a byte of option bits (algorithm, version), the lengths of secret and MAC, the
 * secret, the MAC, and the message, whose words also serve as the IDs of more keys.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>

#include "base/bytes.h"
#include "fuzz.h"
#include "ntp/keys.h"

#define KNOB_BYTES 3
#define KEY_ID     7
#define MORE_KEYS  16

/* A copy in an allocation of exactly its size. */
static uint8_t *copy_exact(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	CHECK(copy);
	memcpy(copy, data, size);
	return copy;
}

/* The digest, computed in a different way. */
static void naive_digest(enum ntp_algorithm algorithm, const uint8_t *secret, size_t secret_length,
			 const uint8_t *message, size_t length, uint8_t *whole)
{
	static const char *const hash[] = {"MD5", "SHA1", "SHA256", "SHA384", "SHA512"};
	uint8_t *joined = malloc(secret_length + length);
	size_t bytes;

	CHECK(joined);
	memcpy(joined, secret, secret_length);
	memcpy(joined + secret_length, message, length);
	if (algorithm < NTP_AES128)
		CHECK(EVP_Q_digest(NULL, hash[algorithm], NULL, joined, secret_length + length,
				   whole, &bytes));
	else
		CHECK(EVP_Q_mac(NULL, "CMAC", NULL,
				algorithm == NTP_AES128 ? "AES-128-CBC" : "AES-256-CBC", NULL,
				secret, secret_length, message, length, whole, NTP_DIGEST_MAX,
				&bytes));
	free(joined);
}

/* IDs from a message; the table must find what a linear search finds. */
static void check_table(struct ntp_digest *digest, const uint8_t *message, size_t length)
{
	struct ntp_keys *keys = ntp_keys_new(MORE_KEYS, MORE_KEYS);
	uint32_t id[MORE_KEYS], count = 0;

	CHECK(keys);
	for (; length >= 4; message += 4, length -= 4) {
		uint32_t new = load_be32(message), at = 0;
		const struct ntp_key *found = ntp_keys_find(keys, new);
		int added = ntp_keys_add(keys, digest, new, NTP_MD5, message, 1, count);

		while (at < count && id[at] != new)
			at++;
		CHECK(found ? at < count && found->id == new && found->counter == at : at == count);
		if (!new)
			CHECK(added == -EINVAL);
		else if (at < count)
			CHECK(added == -EEXIST);
		else if (count == MORE_KEYS)
			CHECK(added == -ENOSPC);
		else
			CHECK(!added);
		if (!added)
			id[count++] = new;
	}
	ntp_keys_free(keys);
}

static void check_digest(struct ntp_digest *digest, const struct ntp_key *key, uint8_t version,
			 const uint8_t *message, uint32_t length, const uint8_t *mac,
			 uint32_t mac_length)
{
	uint32_t bytes = ntp_digest_bytes(key->algorithm, version);
	uint8_t whole[NTP_DIGEST_MAX], *made = malloc(bytes);
	bool right;

	naive_digest(key->algorithm, key->secret, key->length, message, length, whole);
	right = mac_length == bytes && !memcmp(mac, whole, bytes);
	CHECK(ntp_digest_check(digest, key, version, message, length, mac, mac_length) == right);
	CHECK(made && ntp_digest_make(digest, key, version, message, length, made) == bytes);
	CHECK(!memcmp(made, whole, bytes));
	CHECK(ntp_digest_check(digest, key, version, message, length, made, bytes));
	free(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ntp_digest digest;
	enum ntp_algorithm algorithm;
	uint8_t *secret, *mac, *message;
	uint32_t secret_length, mac_length, length;
	struct ntp_keys *keys;
	int added;

	if (!digest.offered)
		CHECK(!ntp_digest_open(&digest));
	if (size < KNOB_BYTES || size < (size_t)KNOB_BYTES + data[1] + data[2])
		return 0;
	algorithm = (data[0] & 15) % NTP_ALGORITHM_COUNT;
	secret_length = data[1];
	mac_length = data[2];
	length = (uint32_t)size - KNOB_BYTES - secret_length - mac_length;
	secret = copy_exact(data + KNOB_BYTES, secret_length);
	mac = copy_exact(data + KNOB_BYTES + secret_length, mac_length);
	message = copy_exact(data + size - length, length);

	check_table(&digest, message, length);
	keys = ntp_keys_new(1, secret_length);
	CHECK(keys);
	added = ntp_keys_add(keys, &digest, KEY_ID, algorithm, secret, secret_length, 0);
	if (!added)
		check_digest(&digest, ntp_keys_find(keys, KEY_ID), 1 + (data[0] >> 4 & 3), message,
			     length, mac, mac_length);
	else
		CHECK(added == -EINVAL && (!secret_length || algorithm >= NTP_AES128));
	ntp_keys_free(keys);
	free(secret);
	free(mac);
	free(message);
	return 0;
}
