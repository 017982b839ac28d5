// SPDX-License-Identifier: Apache-2.0
#include "compile/body.h"

#include <string.h>

#include "base/bytes.h"
#include "dns/rdata.h"

int body_begin(struct body *body, const struct body_question *question)
{
	struct name_labels name;

	if (!name_parse(&name, question->name, question->length) || name.length != question->length)
		return -1;
	if (body->named)
		names_clear(&body->names);
	memcpy(body->question, question->name, question->length);
	body->question_length = question->length;
	body->wildcard = name.count && question->name[0] == 1 && question->name[1] == '*';
	body->relocatable = question->shared || body->wildcard;
	body->secure = question->secure;
	body->named = body->has_more = body->has_optional = body->truncated = false;
	memset(body->counts, 0, sizeof body->counts);
	body->length = body->authority = body->trimmed = 0;
	body->glue = body->fixups = 0;
	return 0;
}

static void append(struct body *body, const void *data, uint32_t length)
{
	if (body->length + length <= BODY_ROOM)
		memcpy(body->bytes + body->length, data, length);
	body->length += length;
}

static void append_be16(struct body *body, uint32_t value)
{
	uint8_t bytes[2];

	store_be16(bytes, (uint16_t)value);
	append(body, bytes, sizeof bytes);
}

/* The first name that needs it makes the table: most images have no other names. */
static void begin_names(struct body *body)
{
	struct name_labels name;

	if (body->named)
		return;
	body->named = true;
	name_parse(&name, body->question, body->question_length);
	names_add(&body->names, &name, body->wildcard, name.count, body->question, HEADER_SIZE);
}

/* Appends a name, replacing the longest suffix written before with a pointer. */
static void append_name(struct body *body, const struct name_labels *name)
{
	uint64_t at = HEADER_SIZE + body->question_length + 4 + body->length;
	uint32_t known, missing;
	uint64_t start = body->length;

	begin_names(body);
	missing = names_find(&body->names, name, &known);
	append(body, name->name, name->start[missing]);
	/*
	 * dns/compose.c inserts proofs before the additional section, so nothing may point into
	 * that.
	 */
	if (missing && at < DNS_ALIASES_END && !(body->secure && body->wildcard && body->has_more))
		names_add(&body->names, name, 0, missing, body->bytes + start, (uint32_t)at);
	if (!known) {
		append(body, "", 1);
		return;
	}
	if (body->relocatable && body->length < BODY_ROOM)
		body->fixup[body->fixups++] = (uint16_t)body->length;
	append_be16(body, POINTER | known);
}

/* Appends RDATA, compressing the names that may be; -1 if one is malformed. */
static int append_rdata(struct body *body, const struct body_record *record)
{
	uint32_t skip, names, at;

	dns_names_of_type(record->type, &skip, &names);
	if (names && skip > record->length)
		return -1;
	at = names ? skip : 0;
	append(body, record->rdata, at);
	while (names--) {
		struct name_labels name;

		if (!name_parse(&name, record->rdata + at, record->length - at))
			return -1;
		append_name(body, &name);
		at += name.length;
	}
	append(body, record->rdata + at, record->length - at);
	return 0;
}

int body_add(struct body *body, enum body_section section, const struct body_record *record)
{
	uint8_t fixed[RR_FIXED];
	struct name_labels owner;
	uint64_t start;

	if (record->length > UINT16_MAX)
		return -1;
	if (section == BODY_ADDITIONAL && !body->has_more) {
		body->has_more = true;
		body->authority = body->length;
	}
	if (!record->owner) {
		append_be16(body, POINTER | HEADER_SIZE);
	} else {
		if (!name_parse(&owner, record->owner, record->owner_length))
			return -1;
		append_name(body, &owner);
	}
	store_be16(fixed, record->type);
	store_be16(fixed + 2, CLASS_IN);
	store_be32(fixed + 4, record->ttl);
	store_be16(fixed + 8, (uint16_t)record->length);
	append(body, fixed, sizeof fixed);
	start = body->length;
	if (append_rdata(body, record))
		return -1;
	if (start <= BODY_ROOM)
		store_be16(body->bytes + start - 2, (uint16_t)(body->length - start));
	body->counts[section]++;
	return 0;
}

void body_begin_optional(struct body *body)
{
	body->has_optional = true;
	body->trimmed = body->length;
	body->glue = body->counts[BODY_ADDITIONAL];
}

/* Bytes of an image before its fixups: these are aligned to two. */
static uint32_t even(uint32_t length)
{
	return length + length % 2;
}

uint32_t body_end(struct body *body)
{
	uint32_t size;

	if (!body->has_optional)
		body_begin_optional(body);
	if (body->length > BODY_MAX) {
		body->length = body->trimmed;
		body->counts[BODY_ADDITIONAL] = body->glue;
		while (body->fixups && body->fixup[body->fixups - 1] >= body->length)
			body->fixups--;
	}
	body->truncated = body->length > BODY_MAX;
	if (body->truncated) {
		body->length = body->trimmed = 0;
		body->fixups = body->glue = 0;
		memset(body->counts, 0, sizeof body->counts);
	}
	if (!body->has_more || body->authority > body->length)
		body->authority = body->length;
	size = (uint32_t)sizeof(struct zone_image) + even((uint32_t)body->length) +
	       body->fixups * 2;
	return (size + ZONE_UNIT - 1) / ZONE_UNIT * ZONE_UNIT;
}

void body_write(const struct body *body, const struct body_kind *kind, uint8_t *image)
{
	uint8_t bits = kind->authoritative ? BITS2_QR | BITS2_AA : BITS2_QR;
	struct zone_image *head = (struct zone_image *)image;
	uint32_t length = (uint32_t)body->length;
	uint8_t *rest = image + sizeof *head + even(length);

	*head = (struct zone_image){
		.bits = body->truncated ? bits | BITS2_TC : bits,
		.rcode = kind->rcode,
		.length = (uint16_t)length,
		.trimmed = (uint16_t)body->trimmed,
		.authority = (uint16_t)body->authority,
		.fixups = (uint16_t)body->fixups,
		.base = (uint8_t)body->question_length,
		.kind = body->truncated ? ZONE_KIND_TRUNCATED : (uint8_t)kind->kind,
		.glue = (uint16_t)body->glue,
	};
	for (uint32_t section = 0; section < BODY_SECTIONS; section++)
		store_be16(head->counts + section * 2, (uint16_t)body->counts[section]);
	memcpy(head + 1, body->bytes, length);
	if (length % 2)
		rest[-1] = 0;
	memcpy(rest, body->fixup, body->fixups * 2);
	rest += body->fixups * 2;
	memset(rest, 0, -(uintptr_t)rest % ZONE_UNIT);
}
