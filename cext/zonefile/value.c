// SPDX-License-Identifier: Apache-2.0
#include "zonefile/value.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

bool value_is(const struct token *word, const char *text)
{
	uint32_t length = (uint32_t)strlen(text);

	if (word->length != length)
		return false;
	for (uint32_t i = 0; i < length; i++)
		if (value_upper(word->text[i]) != (uint8_t)text[i])
			return false;
	return true;
}

bool value_number(const struct token *word, uint64_t most, uint32_t *value)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < word->length; i++) {
		if (!is_digit(word->text[i]))
			return false;
		sum = 10 * sum + word->text[i] - '0';
		if (sum > most)
			return false;
	}
	*value = (uint32_t)sum;
	return word->length;
}

static uint32_t unit(uint8_t c)
{
	switch (c | 32) {
	case 'w':
		return 604800;
	case 'd':
		return 86400;
	case 'h':
		return 3600;
	case 'm':
		return 60;
	case 's':
		return 1;
	default:
		return 0;
	}
}

bool value_ttl(const struct token *word, uint32_t *seconds, bool *large)
{
	uint64_t sum = 0, number = 0;
	bool digits = false;

	if (value_number(word, UINT32_MAX, seconds)) {
		if (*seconds > TTL_MAX) {
			*seconds = 0;
			*large = true;
		}
		return true;
	}
	for (uint32_t i = 0; i < word->length; i++) {
		uint8_t c = word->text[i];

		if (is_digit(c)) {
			number = 10 * number + c - '0';
			digits = true;
		} else {
			sum += number * unit(c);
			if (!digits || !unit(c))
				return false;
			number = 0;
			digits = false;
		}
		if (number > TTL_MAX || sum > TTL_MAX)
			return false;
	}
	*seconds = (uint32_t)sum;
	return word->length && !digits;
}

/* Days from 1970 to a day of the Gregorian calendar; the year from 1970. */
static uint32_t days_until(uint32_t year, uint32_t month, uint32_t day)
{
	/* A year that begins in March ends in the day that may be missing. */
	uint32_t y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static bool is_date(uint32_t year, uint32_t month, uint32_t day)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return year >= 1970 && month >= 1 && month <= 12 && day >= 1 &&
	       day <= days[month - 1] + (uint32_t)(leap && month == 2);
}

bool value_time(const struct token *word, uint32_t *seconds)
{
	static const uint8_t widths[] = {4, 2, 2, 2, 2, 2};
	struct token part = {word->text, 0, 0};
	uint32_t value[6];
	uint64_t sum;

	if (word->length <= 10)
		return value_number(word, UINT32_MAX, seconds);
	if (word->length != 14)
		return false;
	for (uint32_t i = 0; i < 6; i++) {
		part.length = widths[i];
		if (!value_number(&part, 9999, &value[i]))
			return false;
		part.text += widths[i];
	}
	if (!is_date(value[0], value[1], value[2]))
		return false;
	if (value[3] > 23 || value[4] > 59 || value[5] > 59)
		return false;
	sum = 86400ull * days_until(value[0], value[1], value[2]) + 3600 * value[3] +
	      60 * value[4] + value[5];
	*seconds = (uint32_t)sum;
	return sum <= UINT32_MAX;
}

bool value_ipv4(const struct token *word, uint8_t *address)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < 4; i++) {
		uint32_t first = at, value = 0;

		if (i && (at == word->length || word->text[at++] != '.'))
			return false;
		first = at;
		for (; at < word->length && at < first + 3 && is_digit(word->text[at]); at++)
			value = 10 * value + word->text[at] - '0';
		/* 010 might be octal. */
		if (at == first || value > 255 || (at > first + 1 && word->text[first] == '0'))
			return false;
		address[i] = (uint8_t)value;
	}
	return at == word->length;
}

bool value_ipv6(const struct token *word, uint8_t *address)
{
	char copy[INET6_ADDRSTRLEN];

	if (word->length >= sizeof copy || word->bytes)
		return false;
	memcpy(copy, word->text, word->length);
	copy[word->length] = 0;
	return inet_pton(AF_INET6, copy, address) == 1;
}
