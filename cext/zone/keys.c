// SPDX-License-Identifier: Apache-2.0
#include "zone/keys.h"

#include <string.h>

uint32_t zone_canonical_key(const uint8_t *name, uint32_t below, uint8_t key[ZONE_KEY_MAX])
{
	uint8_t labels[ZONE_NAME_MAX / 2 + 1];
	uint32_t count = 0, length = 0;

	for (uint32_t at = 0; at < below; at += name[at] + 1u)
		labels[count++] = (uint8_t)at;
	while (count--) {
		const uint8_t *label = name + labels[count];

		for (uint32_t i = 1; i <= label[0]; i++) {
			key[length] = 1;
			length += label[i] < 2;
			key[length++] = (uint8_t)(label[i] + (label[i] < 2));
		}
		key[length++] = 0;
	}
	return length;
}

void zone_hash_name(const struct zone_hashing *hashing, const uint8_t *name, uint32_t length,
		    uint8_t hash[SHA1_SIZE])
{
	uint8_t input[SHA1_INPUT_MAX];

	memcpy(input, name, length);
	memcpy(input + length, hashing + 1, hashing->salt_length);
	sha1(input, length + hashing->salt_length, hash);
	memcpy(input + SHA1_SIZE, hashing + 1, hashing->salt_length);
	for (uint32_t i = 0; i < hashing->iterations; i++) {
		memcpy(input, hash, SHA1_SIZE);
		sha1(input, SHA1_SIZE + hashing->salt_length, hash);
	}
}
