// SPDX-License-Identifier: Apache-2.0
#include "zonefile/rdata.h"

#include <string.h>

#include "zonefile/digits.h"
#include "zonefile/svcb.h"
#include "zonefile/type.h"
#include "zonefile/value.h"

#define STRING_MAX 255 /* RFC 1035 section 3.3 */

/* RDATA that grows field by field. */
struct rdata {
	struct text *text;
	const struct name *origin;
	uint8_t *start, *at, *end;
	struct token token;
	enum token_kind kind;
};

/*
 * The fields of a type. Of one token each: 1, 2, 4: a number of so many bytes; t: a TTL; w: a time;
 * T: a type; n: a name; a: an IPv4 address; 6: an IPv6 address; s: a string; x: a salt; o: a hash;
 * g: a tag; v: a text without its length. Of all that remain: +: strings; h: hexadecimal digits;
 * b: base64; m: types; M: the same as NXT has them; p: parameters.
 */
static const char *fields_of(uint16_t type)
{
	static const char *const fields[] = {
		[1] = "a",          [2] = "n",       [3] = "n",     [4] = "n",       [5] = "n",
		[6] = "nn4tttt",    [7] = "n",       [8] = "n",     [9] = "n",       [12] = "n",
		[14] = "nn",        [17] = "nn",     [18] = "2n",   [21] = "2n",     [30] = "nM",
		[36] = "2n",        [13] = "ss",     [15] = "2n",   [16] = "+",      [28] = "6",
		[33] = "222n",      [35] = "22sssn", [39] = "n",    [43] = "211h",   [44] = "11h",
		[46] = "T11tww2nb", [47] = "nm",     [48] = "211b", [50] = "112xom", [51] = "112x",
		[52] = "111h",      [59] = "211h",   [60] = "211b", [63] = "411h",   [64] = "2np",
		[65] = "2np",       [99] = "+",
	};

	if (type == 256)
		return "22v";
	if (type == 257)
		return "1gv";
	return type < sizeof fields / sizeof fields[0] ? fields[type] : NULL;
}

/* Types that only have the generic form: dnspython, which reads the rest, knows none of them. */
static bool is_generic(uint16_t type)
{
	return type > 300 && type != 32768 && type != 32769 && type != UINT16_MAX;
}

static uint32_t room_of(const struct rdata *rdata)
{
	return (uint32_t)(rdata->end - rdata->at);
}

static bool took(struct rdata *rdata, int32_t length)
{
	if (length < 0)
		return false;
	rdata->at += length;
	return true;
}

static bool put(struct rdata *rdata, uint32_t value, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		rdata->at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
	rdata->at += bytes;
	return true;
}

static bool read_string(struct rdata *rdata)
{
	int32_t length = token_copy(&rdata->token, rdata->at + 1, STRING_MAX);

	rdata->at[0] = (uint8_t)length;
	return took(rdata, length) && rdata->at++;
}

/* RFC 8659 section 4.1. */
static bool read_tag(struct rdata *rdata)
{
	const struct token *tag = &rdata->token;

	for (uint32_t i = 0; i < tag->length; i++) {
		uint8_t c = value_upper(tag->text[i]);

		if ((c < '0' || c > '9') && (c < 'A' || c > 'Z'))
			return false;
	}
	return tag->length && read_string(rdata);
}

/* RFC 5155 section 3.3. */
static bool read_salt(struct rdata *rdata)
{
	int32_t length = 0;

	if (!token_is(&rdata->token, "-"))
		length = digits_hex_word(&rdata->token, rdata->at + 1, STRING_MAX);
	rdata->at[0] = (uint8_t)length;
	return took(rdata, length) && rdata->at++;
}

static bool read_hash(struct rdata *rdata)
{
	rdata->at[0] = BASE32_BYTES;
	return digits_base32(&rdata->token, rdata->at + 1) && took(rdata, 1 + BASE32_BYTES);
}

static bool read_name(struct rdata *rdata)
{
	uint32_t length = name_read(&rdata->token, rdata->origin, rdata->at);

	rdata->at += length;
	return length;
}

/* All that remains, a string each. */
static bool read_strings(struct rdata *rdata)
{
	do {
		if (rdata->kind == TOKEN_UNSURE || rdata->kind == TOKEN_END)
			return false;
		if (room_of(rdata) < 1 + STRING_MAX || !read_string(rdata))
			return false;
	} while ((rdata->kind = token_next(rdata->text, &rdata->token)) != TOKEN_END);
	return true;
}

/* A field of one token, of which only a text may be quoted. */
static bool read_token(struct rdata *rdata, char field)
{
	const struct token *word = &rdata->token;
	bool large = false;
	uint32_t value;

	if (rdata->kind == TOKEN_QUOTED && field != 's' && field != 'g' && field != 'v')
		return false;
	switch (field) {
	case '1':
		return value_number(word, UINT8_MAX, &value) && put(rdata, value, 1);
	case '2':
		return value_number(word, UINT16_MAX, &value) && put(rdata, value, 2);
	case '4':
		return value_number(word, UINT32_MAX, &value) && put(rdata, value, 4);
	case 't':
		/* Not a TTL to us: as large as it is. */
		return (value_number(word, UINT32_MAX, &value) ||
			value_ttl(word, &value, &large)) &&
		       put(rdata, value, 4);
	case 'w':
		return value_time(word, &value) && put(rdata, value, 4);
	case 'T':
		value = type_read(word);
		return value && put(rdata, value, 2);
	case 'n':
		return read_name(rdata);
	case 'a':
		return value_ipv4(word, rdata->at) && took(rdata, 4);
	case '6':
		return value_ipv6(word, rdata->at) && took(rdata, 16);
	case 's':
		return read_string(rdata);
	case 'x':
		return read_salt(rdata);
	case 'o':
		return read_hash(rdata);
	case 'g':
		return read_tag(rdata);
	default:
		return took(rdata, token_copy(word, rdata->at, room_of(rdata)));
	}
}

/* A field of all that remains, whose first token is not read yet. */
static bool read_rest(struct rdata *rdata, char field)
{
	uint32_t room = room_of(rdata);
	uint8_t *first = rdata->at;

	switch (field) {
	case 'h':
		return took(rdata, digits_hex(rdata->text, first, room)) && rdata->at > first;
	case 'b':
		return took(rdata, digits_base64(rdata->text, first, room)) && rdata->at > first;
	case 'm':
		return took(rdata, type_bitmap(rdata->text, first));
	case 'M':
		return took(rdata, type_bitmap_nxt(rdata->text, first));
	default:
		return took(rdata, svcb_parameters(rdata->text, first, room));
	}
}

/* RFC 3597 section 5. */
static bool read_generic(struct rdata *rdata)
{
	uint32_t length, room = room_of(rdata);
	uint8_t *first = rdata->at;

	if (token_next(rdata->text, &rdata->token) != TOKEN_WORD || !token_is(&rdata->token, "\\#"))
		return false;
	if (token_next(rdata->text, &rdata->token) != TOKEN_WORD)
		return false;
	if (!value_number(&rdata->token, UINT16_MAX, &length))
		return false;
	return took(rdata, digits_hex(rdata->text, first, room)) && rdata->at - first == length;
}

/* Whether the record ends there, after its fields one by one; for those of one token there is room.
 */
static bool read_fields(struct rdata *rdata, const char *fields)
{
	for (; *fields; fields++) {
		if (*fields == 'h' || *fields == 'b' || *fields == 'm' || *fields == 'M' ||
		    *fields == 'p')
			return read_rest(rdata, *fields);
		rdata->kind = token_next(rdata->text, &rdata->token);
		/* Any type may have the generic form instead; the first field is always one token.
		 */
		if (rdata->at == rdata->start && token_is(&rdata->token, "\\#"))
			return false;
		if (*fields == '+')
			return read_strings(rdata);
		if (rdata->kind == TOKEN_UNSURE || rdata->kind == TOKEN_END)
			return false;
		if (!read_token(rdata, *fields))
			return false;
	}
	return token_next(rdata->text, &rdata->token) == TOKEN_END;
}

int32_t rdata_read(struct text *text, uint16_t type, const struct name *origin, uint8_t *to)
{
	struct rdata rdata = {text, origin, to, to, to + RDATA_MAX_BYTES, {0}, TOKEN_UNSURE};
	const char *fields = fields_of(type);
	bool right = false;

	if (fields)
		right = read_fields(&rdata, fields);
	else if (is_generic(type))
		right = read_generic(&rdata);
	return right ? (int32_t)(rdata.at - to) : -1;
}
