// SPDX-License-Identifier: Apache-2.0
#include "compile/chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

static uint64_t first_bytes(const uint8_t *key, uint32_t length)
{
	uint8_t bytes[8] = {0};

	memcpy(bytes, key, length < 8 ? length : 8);
	return load_be64(bytes);
}

/* Doubles a block until it has room for `wanted` items; NULL if out of memory. */
static void *grown(void *block, size_t *room, size_t wanted, size_t size)
{
	size_t more = *room ? *room : 64;

	while (more < wanted)
		more *= 2;
	if (more == *room)
		return block;
	block = realloc(block, more * size);
	if (block)
		*room = more;
	return block;
}

int chain_add(struct chain *chain, const uint8_t *key, uint32_t length, uint32_t proof)
{
	size_t room = chain->room;
	struct chain_link *link = grown(chain->link, &room, chain->count + 1u, sizeof *link);
	uint8_t *keys;

	if (!link)
		return -1;
	chain->link = link;
	chain->room = (uint32_t)room;
	keys = grown(chain->keys, &chain->keys_room, chain->keys_used + length, 1);
	if (!keys)
		return -1;
	chain->keys = keys;
	memcpy(keys + chain->keys_used, key, length);
	link[chain->count++] = (struct chain_link){
		.first = first_bytes(key, length),
		.at = chain->keys_used,
		.length = length,
		.proof = proof,
	};
	chain->keys_used += length;
	return 0;
}

/* -------------------------------------------------------------------------------------------- */

static int compare(const struct chain_link *link, uint64_t first, const uint8_t *key,
		   uint32_t length)
{
	int order;

	if (link->first != first)
		return link->first < first ? -1 : 1;
	order = memcmp(link->key, key, link->length < length ? link->length : length);
	if (order)
		return order;
	return (link->length > length) - (link->length < length);
}

static int compare_links(const void *left, const void *right)
{
	const struct chain_link *a = left, *b = right;
	int order = compare(a, b->first, b->key, b->length);

	return order ? order : (a->proof > b->proof) - (a->proof < b->proof);
}

void chain_sort(struct chain *chain)
{
	bool sorted = true;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < chain->count; i++) {
		chain->link[i].key = chain->keys + chain->link[i].at;
		/* As most signers write it. */
		sorted = sorted && (!i || compare_links(&chain->link[i - 1], &chain->link[i]) < 0);
	}
	if (!sorted)
		qsort(chain->link, chain->count, sizeof *chain->link, compare_links);
	for (uint32_t i = 0; i < chain->count; i++) {
		const struct chain_link *link = &chain->link[i];

		if (kept && !compare(&chain->link[kept - 1], link->first, link->key, link->length))
			kept--;
		chain->link[kept++] = *link;
	}
	chain->count = kept;
}

uint32_t chain_cover(const struct chain *chain, const uint8_t *key, uint32_t length, uint32_t from,
		     bool *is_match)
{
	uint64_t first = first_bytes(key, length);
	uint32_t low = from, high = chain->count, step = 1;

	/* Links before `low` are at or before the key, those from `high` on after it. */
	while (from && low < high && low + step < high) {
		if (compare(&chain->link[low + step], first, key, length) > 0) {
			high = low + step;
			break;
		}
		low += step;
		step *= 2;
	}
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (compare(&chain->link[middle], first, key, length) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	*is_match = low && !compare(&chain->link[low - 1], first, key, length);
	return (low ? low : chain->count) - 1;
}

void chain_close(struct chain *chain)
{
	free(chain->link);
	free(chain->keys);
	*chain = (struct chain){0};
}
