/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a master file (RFC 1035 section 5.1): where each is, and of which kind. What a
 * tokenizer might see in two ways, or an error, is TOKEN_UNSURE: then the record is not ours.
 */
#ifndef XDPKIT_ZONEFILE_TOKEN_H
#define XDPKIT_ZONEFILE_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

/* What a byte is outside of quotes; 0 for one that only belongs to a word. */
enum {
	BYTE_BLANK = 1,
	BYTE_NEWLINE = 2,   /* CR, too: alone, or before LF */
	BYTE_DELIMITER = 4, /* one of ; ( ) " */
	BYTE_ESCAPE = 8,
	BYTE_ODD = 16,  /* a control character: a byte in a text, nothing anywhere else */
	BYTE_HIGH = 32, /* above ASCII: a byte in a text or a name, whatever the encoding */
};

extern const uint8_t byte_kinds[256];

/* Where reading is. Belongs to its caller, as the bytes do. */
struct text {
	const uint8_t *at, *end;
	uint32_t line;  /* of `at` */
	uint32_t depth; /* open parentheses */
	bool cut;       /* `end` is not that of the file */
};

enum token_kind {
	TOKEN_UNSURE,
	TOKEN_END, /* of the line, or of the last line of parentheses */
	TOKEN_WORD,
	TOKEN_QUOTED,
};

struct token {
	const uint8_t *text; /* without quotes, with its escapes */
	uint32_t length;
	uint8_t bytes; /* BYTE_ESCAPE, BYTE_ODD and BYTE_HIGH, if it has any */
};

/* Reads the next one; `text` is then behind it. */
enum token_kind token_next(struct text *text, struct token *token);

/* Goes behind the newline at `text->at`. */
void text_end_line(struct text *text);

/* Goes to the newline that ends this line, or to the end. */
void text_skip_line(struct text *text);

/*
 * Copies the token without its escapes to `to`, which has room for `room` bytes. Returns the
 * number of bytes, or -1 if they are more or an escape is invalid.
 */
int32_t token_copy(const struct token *token, uint8_t *to, uint32_t room);

/*
 * The byte of the escape whose backslash is at `*at`, which moves to the last character of it. -1
 * for an invalid one.
 */
int32_t token_escaped(const struct token *token, uint32_t *at);

/* Whether it is this text, exactly. */
bool token_is(const struct token *token, const char *text);

#endif
