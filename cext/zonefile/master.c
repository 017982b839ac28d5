// SPDX-License-Identifier: Apache-2.0
#include "zonefile/master.h"

#include <string.h>

#include "base/bytes.h"
#include "zonefile/type.h"
#include "zonefile/value.h"

#define TYPE_SOA   6
#define TYPE_OPT   41
#define TYPE_RRSIG 46
/* For questions, not data: RFC 6895 section 3.1. */
#define TYPE_QUESTION_FIRST 128
#define TYPE_QUESTION_LAST  255

/* What a record states before its data. */
struct head {
	struct name owner; /* of length 0 if it has none */
	bool has_ttl, ttl_large;
	uint32_t ttl;
	uint16_t type;
};

static bool next_word(struct text *text, struct token *word)
{
	return token_next(text, word) == TOKEN_WORD;
}

static bool read_owner(const struct master *master, const struct token *word, struct name *owner)
{
	uint32_t length = name_read(word, &master->origin, owner->bytes);

	owner->length = (uint8_t)length;
	name_lower(owner->bytes, length);
	return length;
}

/* TTL and class in any order, then the type, from `word` on. */
static bool read_head(struct text *text, struct token *word, struct head *head)
{
	bool has_class = false;

	for (;;) {
		if (word->text[0] >= '0' && word->text[0] <= '9') {
			if (head->has_ttl || !value_ttl(word, &head->ttl, &head->ttl_large))
				return false;
			head->has_ttl = true;
		} else if (!has_class && (value_is(word, "IN") || value_is(word, "CLASS1"))) {
			has_class = true;
		} else {
			break;
		}
		if (!next_word(text, word))
			return false;
	}
	head->type = type_read(word);
	return head->type && head->type != TYPE_OPT &&
	       (head->type < TYPE_QUESTION_FIRST || head->type > TYPE_QUESTION_LAST);
}

/* The TTL of a record that states none. */
static bool implicit_ttl(const struct master *master, uint32_t *ttl)
{
	if (master->last_ttl_known && (!master->default_ttl_known || master->default_ttl_from_soa))
		*ttl = master->last_ttl;
	else if (master->default_ttl_known)
		*ttl = master->default_ttl;
	else
		return false;
	/* Of an SOA's minimum. */
	if (*ttl > TTL_MAX)
		*ttl = 0;
	return true;
}

/* The default that a zone without $TTL has from its SOA: the last field of its data. */
static void take_default(struct master *master, const struct head *head, uint32_t length)
{
	if (head->type != TYPE_SOA || master->default_ttl_known)
		return;
	master->default_ttl = load_be32(master->rdata + length - 4);
	master->default_ttl_known = true;
	master->default_ttl_from_soa = master->stated_before_minimum;
}

/* Takes a record whose data is read. False if its TTL is not certain: then it is not ours. */
static bool take_record(struct master *master, const struct head *head, uint32_t length)
{
	if (head->has_ttl) {
		master->last_ttl = head->ttl;
		master->last_ttl_known = true;
	}
	take_default(master, head, length);
	master->ttl = head->ttl;
	if (!head->has_ttl && !implicit_ttl(master, &master->ttl))
		return false;
	if (head->owner.length)
		master->owner = head->owner;
	master->type = head->type;
	master->ttl_large = head->ttl_large;
	master->covers = head->type == TYPE_RRSIG ? load_be16(master->rdata) : 0;
	master->rdata_length = length;
	return true;
}

/* $TTL and $ORIGIN. */
static bool take_directive(struct master *master, struct text *text, const struct token *name)
{
	struct token word, end;
	struct name origin;
	bool large = false;
	uint32_t ttl;

	if (!next_word(text, &word) || token_next(text, &end) != TOKEN_END)
		return false;
	if (value_is(name, "$TTL") && value_ttl(&word, &ttl, &large) && !large) {
		master->default_ttl = ttl;
		master->default_ttl_known = true;
		master->default_ttl_from_soa = false;
		return true;
	}
	if (!value_is(name, "$ORIGIN"))
		return false;
	origin.length = (uint8_t)name_read(&word, &master->origin, origin.bytes);
	if (!origin.length)
		return false;
	master->origin = origin;
	return true;
}

/* Whether quotes are only around a name: what @ and $ mean in them is not certain. */
static bool is_quoted_owner(const struct token *word, bool inherits)
{
	return !inherits && word->length && *word->text != '@' && *word->text != '$' &&
	       !memchr(word->text, ' ', word->length);
}

/* Reads what begins at a line: a record, or (MASTER_END) what is none. */
static enum master_found read_entry(struct master *master, struct text *text)
{
	struct head head = {.has_ttl = false};
	struct token word;
	enum token_kind kind;
	bool inherits = byte_kinds[*text->at] & BYTE_BLANK;
	int32_t length;

	/* A parenthesis before the owner. */
	if (*text->at == '(' || *text->at == ')')
		return MASTER_OTHER;
	kind = token_next(text, &word);
	if (kind == TOKEN_END)
		return MASTER_END;
	if (kind == TOKEN_UNSURE || (kind == TOKEN_QUOTED && !is_quoted_owner(&word, inherits)))
		return MASTER_OTHER;
	if (!inherits) {
		if (kind == TOKEN_WORD && *word.text == '$')
			return take_directive(master, text, &word) ? MASTER_END : MASTER_OTHER;
		if (!read_owner(master, &word, &head.owner) || !next_word(text, &word))
			return MASTER_OTHER;
	}
	if (!read_head(text, &word, &head))
		return MASTER_OTHER;
	length = rdata_read(text, head.type, &master->origin, master->rdata);
	return length >= 0 && take_record(master, &head, (uint32_t)length) ? MASTER_RECORD
									   : MASTER_OTHER;
}

enum master_found master_next(struct master *master)
{
	enum master_found found = MASTER_END;

	while (found == MASTER_END && master->next < master->end) {
		struct text text = {master->next, master->end, master->line, 0, false};

		if (text.end - text.at > MASTER_RECORD_BYTES) {
			text.end = text.at + MASTER_RECORD_BYTES;
			text.cut = true;
		}
		found = read_entry(master, &text);
		if (found == MASTER_OTHER)
			break;
		master->record = master->next;
		master->record_line = master->line;
		master->next = text.at;
		master->line = text.line;
	}
	return found;
}
