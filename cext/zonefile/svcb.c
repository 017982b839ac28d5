// SPDX-License-Identifier: Apache-2.0
#include "zonefile/svcb.h"

#include <string.h>

#include "base/bytes.h"
#include "zonefile/value.h"

#define HEADER     4 /* key and length, RFC 9460 section 2.2 */
#define ITEM_MAX   255
#define PARAMETERS 5

/* RFC 9460 section 14.3.2, in the order of the wire format. */
static const struct {
	const char *name;
	uint16_t key;
} keys[PARAMETERS] = {
	{"alpn", 1}, {"no-default-alpn", 2}, {"port", 3}, {"ipv4hint", 4}, {"ipv6hint", 6},
};
enum { ALPN, NO_DEFAULT_ALPN, PORT, IPV4HINT, IPV6HINT };

struct parameter {
	bool present;
	struct token value;
};

static uint32_t find_key(const struct token *name)
{
	uint32_t at = 0;

	while (at < PARAMETERS && !token_is(name, keys[at].name))
		at++;
	return at;
}

/* Reads a parameter that begins with this word. */
static bool read_parameter(struct text *text, struct token word, struct parameter *parameters)
{
	const uint8_t *equals = memchr(word.text, '=', word.length);
	struct token name = word, value = {word.text, 0, 0};
	uint32_t at;

	if (word.bytes)
		return false;
	if (equals) {
		name.length = (uint32_t)(equals - word.text);
		value = (struct token){equals + 1, word.length - name.length - 1, 0};
		if (!value.length && (text->at == text->end || *text->at != '"' ||
				      token_next(text, &value) != TOKEN_QUOTED || value.bytes))
			return false;
	}
	at = find_key(&name);
	if (at == PARAMETERS || parameters[at].present || !value.length != (at == NO_DEFAULT_ALPN))
		return false;
	parameters[at] = (struct parameter){true, value};
	return true;
}

static int32_t write_item(uint32_t at, const struct token *item, uint8_t *to, uint32_t room)
{
	uint32_t port;

	if (room < 1 + ITEM_MAX)
		return -1;
	switch (at) {
	case ALPN:
		if (!item->length || item->length > ITEM_MAX)
			return -1;
		to[0] = (uint8_t)item->length;
		memcpy(to + 1, item->text, item->length);
		return 1 + (int32_t)item->length;
	case PORT:
		if (!value_number(item, UINT16_MAX, &port))
			return -1;
		store_be16(to, (uint16_t)port);
		return 2;
	case IPV4HINT:
		return value_ipv4(item, to) ? 4 : -1;
	default:
		return value_ipv6(item, to) ? 16 : -1;
	}
}

/* The value of one parameter, whose items are separated by commas. */
static int32_t write_value(uint32_t at, struct token rest, uint8_t *to, uint32_t room)
{
	uint32_t length = 0;

	if (at == NO_DEFAULT_ALPN)
		return 0;
	for (;;) {
		const uint8_t *comma = memchr(rest.text, ',', rest.length);
		struct token item = rest;
		int32_t bytes;

		if (comma)
			item.length = (uint32_t)(comma - rest.text);
		bytes = write_item(at, &item, to + length, room - length);
		if (bytes < 0 || (comma && at == PORT))
			return -1;
		length += (uint32_t)bytes;
		if (!comma)
			return length <= UINT16_MAX ? (int32_t)length : -1;
		rest.text += item.length + 1;
		rest.length -= item.length + 1;
	}
}

int32_t svcb_parameters(struct text *text, const uint8_t *start, uint8_t *to, uint32_t room)
{
	struct parameter parameters[PARAMETERS] = {0};
	uint32_t length = 0;
	struct token word;
	enum token_kind kind;

	while ((kind = token_next(text, &word)) == TOKEN_WORD)
		/* RFC 9460 section 2.4.2: priority 0, an alias, has none. */
		if (!load_be16(start) || !read_parameter(text, word, parameters))
			return -1;
	if (kind != TOKEN_END)
		return -1;
	if (parameters[NO_DEFAULT_ALPN].present && !parameters[ALPN].present)
		return -1;
	for (uint32_t at = 0; at < PARAMETERS; at++) {
		int32_t bytes;

		if (!parameters[at].present)
			continue;
		if (room - length < HEADER)
			return -1;
		bytes = write_value(at, parameters[at].value, to + length + HEADER,
				    room - length - HEADER);
		if (bytes < 0)
			return -1;
		store_be16(to + length, keys[at].key);
		store_be16(to + length + 2, (uint16_t)bytes);
		length += HEADER + (uint32_t)bytes;
	}
	return (int32_t)length;
}
