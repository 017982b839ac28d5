// SPDX-License-Identifier: Apache-2.0
#include "zonefile/svcb.h"

#include <string.h>

#include "base/bytes.h"
#include "zonefile/digits.h"
#include "zonefile/value.h"

#define HEADER   4 /* key and length, RFC 9460 section 2.2 */
#define ITEM_MAX 255

/* Parameters of one record. Fewer than ten have a meaning. */
#define PARAMETERS_MAX 32

/* RFC 9460 section 14.3.2, RFC 9461 section 5, RFC 9540 section 4. */
enum {
	MANDATORY = 0,
	ALPN = 1,
	NO_DEFAULT_ALPN = 2,
	PORT = 3,
	IPV4HINT = 4,
	ECH = 5,
	IPV6HINT = 6,
	OHTTP = 8,
	INVALID = 65535,
};
static const char *const keys[] = {"mandatory", "alpn",     "no-default-alpn", "port", "ipv4hint",
				   "ech",       "ipv6hint", "dohpath",         "ohttp"};
#define KEYS (sizeof keys / sizeof keys[0])

struct parameter {
	uint16_t key;
	struct token value;
};

/* In the order of their keys. */
struct parameters {
	uint32_t count;
	struct parameter list[PARAMETERS_MAX];
};

/* The key of a name; INVALID, which is reserved, if it is none. */
static uint16_t find_key(const struct token *name)
{
	struct token number;
	uint32_t value;

	for (uint32_t at = 0; at < KEYS; at++)
		if (token_is(name, keys[at]))
			return (uint16_t)at;
	if (name->length < 4 || memcmp(name->text, "key", 3))
		return INVALID;
	number = (struct token){name->text + 3, name->length - 3, 0};
	if (!value_number(&number, INVALID - 1, &value) || (value && *number.text == '0'))
		return INVALID;
	return (uint16_t)value;
}

/* False for a second one with the same key, or too many. */
static bool insert(struct parameters *found, struct parameter parameter)
{
	uint32_t at = found->count;

	for (; at && found->list[at - 1].key >= parameter.key; at--)
		if (found->list[at - 1].key == parameter.key)
			return false;
	if (found->count == PARAMETERS_MAX)
		return false;
	memmove(found->list + at + 1, found->list + at,
		(found->count - at) * sizeof found->list[0]);
	found->list[at] = parameter;
	found->count++;
	return true;
}

static bool has_key(const struct parameters *found, uint16_t key)
{
	for (uint32_t at = 0; at < found->count; at++)
		if (found->list[at].key == key)
			return true;
	return false;
}

/* Reads a parameter that begins with this word: its value may be in quotes. */
static bool read_parameter(struct text *text, struct token word, struct parameters *found)
{
	const uint8_t *equals = memchr(word.text, '=', word.length);
	struct token name = word, value = {word.text, 0, 0};

	if (equals) {
		name.length = (uint32_t)(equals - word.text);
		value = (struct token){equals + 1, word.length - name.length - 1, word.bytes};
		if (!value.length && text->at < text->end && *text->at == '"' &&
		    token_next(text, &value) != TOKEN_QUOTED)
			return false;
	}
	return find_key(&name) != INVALID &&
	       insert(found, (struct parameter){find_key(&name), value});
}

static int32_t write_item(uint16_t key, const struct token *item, uint8_t *to, uint32_t room)
{
	uint32_t port;

	if (room < 1 + ITEM_MAX)
		return -1;
	switch (key) {
	case MANDATORY:
		store_be16(to, find_key(item));
		return find_key(item) == INVALID || find_key(item) == MANDATORY ? -1 : 2;
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

/* A value whose items are separated by commas. */
static int32_t write_items(uint16_t key, struct token rest, uint8_t *to, uint32_t room)
{
	uint32_t length = 0;

	/* An escaped comma would be part of an item. */
	if (rest.bytes)
		return -1;
	for (;;) {
		const uint8_t *comma = memchr(rest.text, ',', rest.length);
		struct token item = rest;
		int32_t bytes;

		if (comma)
			item.length = (uint32_t)(comma - rest.text);
		bytes = write_item(key, &item, to + length, room - length);
		if (bytes < 0 || (comma && key == PORT))
			return -1;
		length += (uint32_t)bytes;
		if (!comma)
			return (int32_t)length;
		rest.text += item.length + 1;
		rest.length -= item.length + 1;
	}
}

/* RFC 9460 section 8: the keys in order, each once and present. */
static bool is_mandatory_sound(const struct parameters *found, const uint8_t *list, uint32_t length)
{
	for (uint32_t at = 0; at < length; at += 2) {
		if (at && load_be16(list + at) <= load_be16(list + at - 2))
			return false;
		if (!has_key(found, load_be16(list + at)))
			return false;
	}
	return true;
}

static int32_t write_value(const struct parameters *found, const struct parameter *parameter,
			   uint8_t *to, uint32_t room)
{
	const struct token *value = &parameter->value;
	struct text base64 = {value->text, value->text + value->length, 1, 0, false};
	int32_t length;

	switch (parameter->key) {
	case MANDATORY:
		length = write_items(MANDATORY, *value, to, room);
		return length > 0 && is_mandatory_sound(found, to, (uint32_t)length) ? length : -1;
	case ALPN:
	case PORT:
	case IPV4HINT:
	case IPV6HINT:
		return write_items(parameter->key, *value, to, room);
	case NO_DEFAULT_ALPN:
	case OHTTP:
		return value->length ? -1 : 0;
	case ECH:
		length = value->bytes ? -1 : digits_base64(&base64, to, room);
		return length > 0 ? length : -1;
	default:
		return token_copy(value, to, room);
	}
}

int32_t svcb_parameters(struct text *text, uint8_t *to, uint32_t room)
{
	struct parameters found = {.count = 0};
	uint32_t length = 0;
	struct token word;
	enum token_kind kind;

	while ((kind = token_next(text, &word)) == TOKEN_WORD)
		if (!read_parameter(text, word, &found))
			return -1;
	if (kind != TOKEN_END)
		return -1;
	for (uint32_t at = 0; at < found.count; at++) {
		int32_t bytes;

		if (room - length < HEADER)
			return -1;
		bytes = write_value(&found, &found.list[at], to + length + HEADER,
				    room - length - HEADER);
		if (bytes < 0 || bytes > UINT16_MAX)
			return -1;
		store_be16(to + length, found.list[at].key);
		store_be16(to + length + 2, (uint16_t)bytes);
		length += HEADER + (uint32_t)bytes;
	}
	return (int32_t)length;
}
