// SPDX-License-Identifier: Apache-2.0
#include "zonefile/name.h"

#include <string.h>

/* Ends the label whose length belongs to `to[label]`; false if it has none or too many bytes. */
static bool end_label(uint8_t *to, uint32_t label, uint32_t end)
{
	uint32_t length = end - label - 1;

	to[label] = (uint8_t)length;
	return length && length <= LABEL_MAX;
}

static uint32_t with_origin(uint8_t *to, uint32_t length, const struct name *origin)
{
	if (length + origin->length > NAME_MAX_BYTES)
		return 0;
	memcpy(to + length, origin->bytes, origin->length);
	return length + origin->length;
}

uint32_t name_read(const struct token *word, const struct name *origin, uint8_t *to)
{
	/* Where the current label's length goes, and its next byte. */
	uint32_t label = 0, end = 1;

	if (word->bytes & BYTE_ODD)
		return 0;
	if (token_is(word, "@"))
		return with_origin(to, 0, origin);
	if (token_is(word, ".")) {
		to[0] = 0;
		return 1;
	}
	for (uint32_t at = 0; at < word->length; at++) {
		int32_t byte = word->text[at];

		if (end >= NAME_MAX_BYTES)
			return 0;
		if (byte == '.') {
			if (!end_label(to, label, end))
				return 0;
			label = end++;
			continue;
		}
		if (byte == '\\' && (byte = token_escaped(word, &at)) < 0)
			return 0;
		to[end++] = (uint8_t)byte;
	}
	if (end == label + 1) {
		to[label] = 0;
		return end;
	}
	return end_label(to, label, end) ? with_origin(to, end, origin) : 0;
}
