// SPDX-License-Identifier: Apache-2.0
#include "zonefile/digits.h"

/* What a character stands for, plus 1: 0 is no digit. */
static const uint8_t hex_digits[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['A'] = 11, ['B'] = 12,
	['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

static const uint8_t base64_digits[256] = {
	['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,
	['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14,
	['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21,
	['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,
	['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35,
	['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
	['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49,
	['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
	['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63,
	['/'] = 64,
};

/* Bytes that are put together from digits of a few bits each. */
struct digits {
	uint8_t *to;
	uint32_t length, room;
	uint32_t value, bits; /* what is not a whole byte yet */
	uint32_t padding;
};

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

/*
 * Four digits are three bytes: nearly all of a key or signature. Returns how many were taken, up to
 * what is something else.
 */
static uint32_t add_base64_fours(struct digits *digits, const struct token *word)
{
	uint32_t i = 0;

	if (digits->bits || digits->padding)
		return 0;
	for (; word->length - i >= 4 && digits->room - digits->length >= 3; i += 4) {
		const uint8_t *text = word->text + i;
		uint8_t *to = digits->to + digits->length;
		uint32_t a = base64_digits[text[0]], b = base64_digits[text[1]];
		uint32_t c = base64_digits[text[2]], d = base64_digits[text[3]], value;

		if (!a || !b || !c || !d)
			break;
		value = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
		to[0] = (uint8_t)(value >> 16);
		to[1] = (uint8_t)(value >> 8);
		to[2] = (uint8_t)value;
		digits->length += 3;
	}
	return i;
}

static bool add_base64(struct digits *digits, const struct token *word)
{
	for (uint32_t i = add_base64_fours(digits, word); i < word->length; i++) {
		uint32_t digit = base64_digits[word->text[i]];

		if (word->text[i] == '=')
			digits->padding++;
		else if (!digit || digits->padding || !add_digit(digits, digit - 1, 6))
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
