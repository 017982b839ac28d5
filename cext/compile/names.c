// SPDX-License-Identifier: Apache-2.0
#include "compile/names.h"

#include <string.h>

#include "base/hash.h"

#define LABEL_MAX 63 /* bytes, RFC 1035 section 2.3.4 */

static inline uint8_t lower(uint8_t byte)
{
	return (uint8_t)(byte + (((unsigned)byte - 'A' < 26u) << 5));
}

bool name_parse(struct name_labels *labels, const uint8_t *wire, uint64_t room)
{
	uint32_t at = 0;

	labels->name = wire;
	labels->count = 0;
	while (at < room && at < ZONE_NAME_MAX && wire[at] <= LABEL_MAX) {
		labels->start[labels->count] = (uint8_t)at;
		if (!wire[at]) {
			labels->length = at + 1;
			return true;
		}
		labels->count++;
		at += wire[at] + 1u;
	}
	return false;
}

void names_clear(struct names *names)
{
	for (uint32_t i = 1; i <= names->count; i++)
		names->slot[names->suffix[i].slot] = 0;
	names->count = 0;
}

static uint64_t label_hash(const struct names *names, const uint8_t *label, uint32_t rest)
{
	uint64_t hash = names->seed ^ rest, word[(LABEL_MAX + 1) / 8] = {0};
	uint8_t *bytes = (uint8_t *)word;
	uint32_t length = label[0] + 1u;

	for (uint32_t i = 0; i < length; i++)
		bytes[i] = lower(label[i]);
	for (uint32_t i = 0; i * 8 < length; i++)
		hash = hash_fold(hash ^ word[i], HASH_FACTOR);
	return hash;
}

static bool same_label(const uint8_t *a, const uint8_t *b)
{
	for (uint32_t i = 0; i <= a[0]; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

/* The slot that holds the suffix, or the empty one where it belongs. */
static uint32_t slot_of(const struct names *names, const uint8_t *label, uint32_t rest,
			uint64_t hash)
{
	uint32_t slot = (uint32_t)(hash >> 32) % NAMES_SLOTS;

	for (uint32_t number; (number = names->slot[slot]); slot = (slot + 1) % NAMES_SLOTS) {
		const struct names_suffix *have = &names->suffix[number];

		if (have->tag == (uint32_t)hash && have->rest == rest &&
		    same_label(have->label, label))
			break;
	}
	return slot;
}

uint32_t names_find(const struct names *names, const struct name_labels *name, uint32_t *offset)
{
	uint32_t missing = name->count, rest = 0;

	*offset = 0;
	/* From the right; a suffix that no pointer reaches may be part of one that begins earlier.
	 */
	for (uint32_t i = name->count; i--;) {
		const uint8_t *label = name->name + name->start[i];

		rest = names->slot[slot_of(names, label, rest, label_hash(names, label, rest))];
		if (!rest)
			break;
		if (names->suffix[rest].offset) {
			missing = i;
			*offset = names->suffix[rest].offset;
		}
	}
	return missing;
}

void names_add(struct names *names, const struct name_labels *name, uint32_t first, uint32_t count,
	       const uint8_t *wire, uint32_t offset)
{
	uint32_t rest = 0;

	for (uint32_t i = name->count; i-- > first;) {
		const uint8_t *label = name->name + name->start[i];
		uint64_t hash = label_hash(names, label, rest);
		uint32_t slot = slot_of(names, label, rest, hash), at = offset + name->start[i];
		struct names_suffix *suffix;

		if (!names->slot[slot]) {
			if (names->count == NAMES_MAX || i >= count)
				return;
			suffix = &names->suffix[++names->count];
			*suffix = (struct names_suffix){
				.label = wire + name->start[i],
				.tag = (uint32_t)hash,
				.rest = (uint16_t)rest,
				.slot = (uint16_t)slot,
			};
			names->slot[slot] = (uint16_t)names->count;
			if (at < DNS_ALIASES_END)
				suffix->offset = (uint16_t)at;
		}
		rest = names->slot[slot];
	}
}
