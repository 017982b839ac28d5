// SPDX-License-Identifier: Apache-2.0
#include "zone/checksum.h"

#include <string.h>

#include "base/hash.h"

void zone_checksum_begin(struct zone_checksum *sum)
{
	/* Others for each lane: the same words in another one count. */
	for (uint32_t i = 0; i < ZONE_CHECKSUM_LANES; i++)
		sum->lane[i] = i + 1;
}

static void add_block(struct zone_checksum *sum, const uint64_t *word)
{
	for (uint32_t i = 0; i < ZONE_CHECKSUM_LANES; i++)
		sum->lane[i] = hash_fold(sum->lane[i] ^ word[i], HASH_FACTOR);
}

void zone_checksum_add(struct zone_checksum *sum, const void *data, size_t size)
{
	const uint64_t *word = data;
	struct zone_checksum local = *sum;
	uint64_t last[ZONE_CHECKSUM_LANES] = {0};

	for (; size >= ZONE_CHECKSUM_BLOCK; size -= ZONE_CHECKSUM_BLOCK) {
		add_block(&local, word);
		word += ZONE_CHECKSUM_LANES;
	}
	if (size) {
		memcpy(last, word, size);
		add_block(&local, last);
	}
	*sum = local;
}

uint64_t zone_checksum_end(const struct zone_checksum *sum)
{
	uint64_t hash = 0;

	for (uint32_t i = 0; i < ZONE_CHECKSUM_LANES; i++)
		hash = hash_fold(hash ^ sum->lane[i], HASH_FACTOR);
	return hash;
}
