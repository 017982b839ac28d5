// SPDX-License-Identifier: Apache-2.0
#include "zonefile/token.h"

#include <string.h>

#define ENDS_WORD (BYTE_BLANK | BYTE_NEWLINE | BYTE_DELIMITER)
#define NOT_ASCII (BYTE_ODD | BYTE_HIGH)

const uint8_t byte_kinds[256] = {
	[0 ... '\t' - 1] = BYTE_ODD, ['\t'] = BYTE_BLANK,
	['\n'] = BYTE_NEWLINE,       ['\n' + 1 ... '\r' - 1] = BYTE_ODD,
	['\r'] = BYTE_NEWLINE,       ['\r' + 1 ... ' ' - 1] = BYTE_ODD,
	[' '] = BYTE_BLANK,          ['"'] = BYTE_DELIMITER,
	['('] = BYTE_DELIMITER,      [')'] = BYTE_DELIMITER,
	[';'] = BYTE_DELIMITER,      ['\\'] = BYTE_ESCAPE,
	[0x7f] = BYTE_ODD,           [0x80 ... 0xff] = BYTE_HIGH,
};

void text_end_line(struct text *text)
{
	text->at += *text->at == '\r' && text->end - text->at > 1 && text->at[1] == '\n' ? 2 : 1;
	text->line++;
}

void text_skip_line(struct text *text)
{
	while (text->at < text->end && !(byte_kinds[*text->at] & BYTE_NEWLINE))
		text->at++;
}

/* Whether an escape is complete in its line; `*at` is at its backslash and moves to its character.
 */
static bool escape_follows(const struct text *text, const uint8_t **at, uint8_t *bytes)
{
	if (text->end - *at < 2 || byte_kinds[(*at)[1]] & BYTE_NEWLINE)
		return false;
	++*at;
	*bytes |= BYTE_ESCAPE | (byte_kinds[**at] & NOT_ASCII);
	return true;
}

static enum token_kind read_word(struct text *text, struct token *token)
{
	const uint8_t *at = text->at;
	uint8_t bytes = 0, kind;

	for (; at < text->end && !((kind = byte_kinds[*at]) & ENDS_WORD); at++) {
		if (!kind)
			continue;
		bytes |= kind;
		if (kind == BYTE_ESCAPE && !escape_follows(text, &at, &bytes))
			return TOKEN_UNSURE;
	}
	if (at == text->end && text->cut)
		return TOKEN_UNSURE;
	*token = (struct token){text->at, (uint32_t)(at - text->at), bytes};
	text->at = at;
	return TOKEN_WORD;
}

static enum token_kind read_quoted(struct text *text, struct token *token)
{
	const uint8_t *first = text->at + 1, *at = first;
	uint8_t bytes = 0;

	for (; at < text->end && *at != '"'; at++) {
		bytes |= byte_kinds[*at] & NOT_ASCII;
		if (byte_kinds[*at] & BYTE_NEWLINE)
			return TOKEN_UNSURE;
		if (*at == '\\' && !escape_follows(text, &at, &bytes))
			return TOKEN_UNSURE;
	}
	if (at == text->end)
		return TOKEN_UNSURE;
	*token = (struct token){first, (uint32_t)(at - first), bytes};
	text->at = at + 1;
	return TOKEN_QUOTED;
}

enum token_kind token_next(struct text *text, struct token *token)
{
	while (text->at < text->end) {
		switch (*text->at) {
		case ' ':
		case '\t':
			text->at++;
			break;
		case '\n':
		case '\r':
			text_end_line(text);
			if (text->depth)
				break;
			return text->at == text->end && text->cut ? TOKEN_UNSURE : TOKEN_END;
		case ';':
			text_skip_line(text);
			break;
		case '(':
			text->depth++;
			text->at++;
			break;
		case ')':
			if (!text->depth--)
				return TOKEN_UNSURE;
			text->at++;
			break;
		case '"':
			return read_quoted(text, token);
		default:
			return read_word(text, token);
		}
	}
	return text->cut || text->depth ? TOKEN_UNSURE : TOKEN_END;
}

int32_t token_escaped(const struct token *token, uint32_t *at)
{
	const uint8_t *text = token->text;
	uint32_t value = 0, first = *at + 1;

	if (text[first] < '0' || text[first] > '9') {
		*at = first;
		return text[first];
	}
	if (token->length - first < 3)
		return -1;
	for (uint32_t i = first; i < first + 3; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = 10 * value + text[i] - '0';
	}
	*at = first + 2;
	return value > 255 ? -1 : (int32_t)value;
}

int32_t token_copy(const struct token *token, uint8_t *to, uint32_t room)
{
	uint32_t length = 0;

	if (!(token->bytes & BYTE_ESCAPE)) {
		if (token->length > room)
			return -1;
		memcpy(to, token->text, token->length);
		return (int32_t)token->length;
	}
	for (uint32_t at = 0; at < token->length; at++) {
		int32_t byte = token->text[at];

		if (byte == '\\')
			byte = token_escaped(token, &at);
		if (byte < 0 || length == room)
			return -1;
		to[length++] = (uint8_t)byte;
	}
	return (int32_t)length;
}

bool token_is(const struct token *token, const char *text)
{
	return token->length == strlen(text) && !memcmp(token->text, text, token->length);
}
