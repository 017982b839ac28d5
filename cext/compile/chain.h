/* SPDX-License-Identifier: Apache-2.0 */
/* The sorted chain of a signed zone: for each proof the key of its owner, of zone/keys.h. */
#ifndef XDPKIT_COMPILE_CHAIN_H
#define XDPKIT_COMPILE_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chain_link {
	uint64_t first; /* bytes of the key as a number, which settles most comparisons */
	union {
		const uint8_t *key;
		size_t at; /* in `keys`, which still moves, until the chain is sorted */
	};
	uint32_t length;
	uint32_t proof; /* its number */
};

/* All zero before the first use. */
struct chain {
	struct chain_link *link;
	uint32_t count, room;
	uint8_t *keys;
	size_t keys_used, keys_room;
};

/* Adds a proof; -1 if out of memory. */
int chain_add(struct chain *chain, const uint8_t *key, uint32_t length, uint32_t proof);

/* Sorts it by key; of proofs with the same, the one with the highest number is kept. */
void chain_sort(struct chain *chain);

/*
 * The last link at or before a key, or the last of all if there is none; `is_match`: it is at the
 * key. `from` is a link that the result is not before, and hopefully close to it, or 0.
 */
uint32_t chain_cover(const struct chain *chain, const uint8_t *key, uint32_t length, uint32_t from,
		     bool *is_match);

void chain_close(struct chain *chain);

#endif
