// SPDX-License-Identifier: Apache-2.0
/* Prints cext/base/siphash.h's hash, as bytes, of 0, 1, 2, ... of each length up to 64. */
#include <stdio.h>
#include <string.h>

#include "base/siphash.h"

int main(void)
{
	uint8_t data[64], key_bytes[SIPHASH_KEY_BYTES];
	uint64_t key[2], words[sizeof data / 8], last, hash;

	for (uint8_t i = 0; i < sizeof data; i++)
		data[i] = i;
	memcpy(key_bytes, data, sizeof key_bytes);
	memcpy(key, key_bytes, sizeof key);
	for (size_t length = 0; length <= sizeof data; length++) {
		last = 0;
		memcpy(words, data, length / 8 * 8);
		memcpy(&last, data + length / 8 * 8, length % 8);
		hash = siphash24(key, words, length / 8, last | (uint64_t)length << 56);
		for (int i = 0; i < 8; i++)
			printf("%02X", (unsigned)(hash >> 8 * i & 0xff));
		putchar('\n');
	}
	return 0;
}
