// SPDX-License-Identifier: Apache-2.0
#include "zonefile/digits.h"

/* What a character stands for, plus 1: 0 is no digit. */
static const uint8_t hex_digits[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['A'] = 11, ['B'] = 12,
	['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

/* Bytes that are put together from digits of a few bits each. */
struct digits {
	uint8_t *to;
	uint32_t length, room;
	uint32_t value, bits; /* what is not a whole byte yet */
	uint32_t padding;
};

static int32_t base64_digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int32_t base32_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'V')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'v' ? c - 'a' + 10 : -1;
}

static bool add_digit(struct digits *digits, uint32_t digit, uint32_t bits)
{
	digits->value = digits->value << bits | digit;
	digits->bits += bits;
	if (digits->bits < 8)
		return true;
	if (digits->length == digits->room)
		return false;
	digits->bits -= 8;
	digits->to[digits->length++] = (uint8_t)(digits->value >> digits->bits);
	digits->value &= (1u << digits->bits) - 1;
	return true;
}

static bool add_hex(struct digits *digits, const struct token *word)
{
	for (uint32_t i = 0; i < word->length; i++) {
		uint32_t digit = hex_digits[word->text[i]];

		if (!digit || !add_digit(digits, digit - 1, 4))
			return false;
	}
	return true;
}

static bool add_base64(struct digits *digits, const struct token *word)
{
	for (uint32_t i = 0; i < word->length; i++) {
		int32_t digit = base64_digit(word->text[i]);

		if (word->text[i] == '=')
			digits->padding++;
		else if (digit < 0 || digits->padding || !add_digit(digits, (uint32_t)digit, 6))
			return false;
	}
	return true;
}

int32_t digits_hex(struct text *text, uint8_t *to, uint32_t room)
{
	struct digits digits = {.to = to, .room = room};
	struct token word;
	enum token_kind kind;

	while ((kind = token_next(text, &word)) == TOKEN_WORD)
		if (!add_hex(&digits, &word))
			return -1;
	return kind == TOKEN_END && !digits.bits ? (int32_t)digits.length : -1;
}

int32_t digits_base64(struct text *text, uint8_t *to, uint32_t room)
{
	struct digits digits = {.to = to, .room = room};
	struct token word;
	enum token_kind kind;

	while ((kind = token_next(text, &word)) == TOKEN_WORD)
		if (!add_base64(&digits, &word))
			return -1;
	/* Of the last digit, the bits that belong to no byte are 0: 2 before one =, 4 before two.
	 */
	if (kind != TOKEN_END || digits.value || digits.bits != 2 * digits.padding)
		return -1;
	return digits.bits > 4 ? -1 : (int32_t)digits.length;
}

int32_t digits_hex_word(const struct token *word, uint8_t *to, uint32_t room)
{
	struct digits digits = {.to = to, .room = room};

	return add_hex(&digits, word) && !digits.bits ? (int32_t)digits.length : -1;
}

bool digits_base32(const struct token *word, uint8_t *to)
{
	struct digits digits = {.to = to, .room = BASE32_BYTES};

	if (word->length != 8 * BASE32_BYTES / 5)
		return false;
	for (uint32_t i = 0; i < word->length; i++) {
		int32_t digit = base32_digit(word->text[i]);

		if (digit < 0 || !add_digit(&digits, (uint32_t)digit, 5))
			return false;
	}
	return true;
}
