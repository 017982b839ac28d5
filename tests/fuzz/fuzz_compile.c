// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer target for cext/compile/: any records become an image, in memory of exactly its size,
 * and an arena in a file.
 *
 * Whatever their names are, the image must say again what went in: its records are read, with every
 * pointer followed, for the question that it was made for and for a longer one, and must be those
 * that were added, but for the case of letters. An arena that holds it must pass geo_check().
 *
 * The first byte of an input are options, the second the name of the question. Each record is its
 * section and owner, its type, and RDATA: bytes after their count, or names from `label`.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "compile/arena.h"
#include "dns/rdata.h"
#include "fuzz.h"
#include "geo/check.h"

#define OPTION_SHARED   1
#define OPTION_SECURE   2
#define OPTION_WILDCARD 4
#define OPTION_RAW      8 /* RDATA is the input's, so its names may be malformed */

#define RECORDS 6000
#define LONGER  "\7another\1q"

static const char *const label[] = {"\1a",   "\1A", "\1b",       "\3www",
				    "\3wWw", "\1*", "\2\300\14", "\1\0"};
static const uint16_t types[] = {1, 2, 5, 6, 15, 16, 33, 46, 65280};

struct input {
	const uint8_t *at, *end;
};

static uint32_t next(struct input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

/* What was added, names in full. */
struct expected {
	uint8_t bytes[1 << 22];
	size_t length;
	uint32_t records;
};

/* A name of labels that the input chooses, below the zone's, "\1z\0". */
static uint32_t write_name(struct input *input, uint8_t *name)
{
	uint32_t count = next(input), length = 0;

	/* Some are as long as names can be. */
	for (uint32_t n = count % 16 == 15 ? 60 : count % 8; n; n--) {
		/* Its length is not part of a string that has a zero in it. */
		const char *each = label[next(input) % (sizeof label / sizeof *label)];

		memcpy(name + length, each, each[0] + 1u);
		length += (uint32_t)each[0] + 1;
	}
	memcpy(name + length, "\1z", 3);
	return length + 3;
}

static uint32_t write_rdata(struct input *input, uint16_t type, uint8_t *rdata)
{
	uint32_t skip, names, length, more;

	dns_names_of_type(type, &skip, &names);
	memset(rdata, 7, skip);
	length = skip;
	while (names--)
		length += write_name(input, rdata + length);
	/* Some are large, to get beyond a pointer and beyond a message. */
	more = next(input);
	more = more > 240 ? (more - 240) * 1000 : more % 32;
	memset(rdata + length, (int)more, more);
	return length + more;
}

/* -------------------------------------------------------------------------------------------- */

static uint8_t lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
}

/* A message: header, question, body. */
struct message {
	uint8_t bytes[HEADER_SIZE + ZONE_NAME_MAX + 4 + BODY_ROOM];
	uint32_t length, at;
	uint32_t question; /* length of its name */
};

/* Compares the name at `at`, with its pointers, to that in full; returns the latter's length. */
static uint32_t same_name(struct message *m, const uint8_t *full)
{
	uint32_t at = m->at, length = 0, hops = 0;
	bool moved = false;

	for (;;) {
		CHECK(at < m->length);
		if (m->bytes[at] >= POINTER >> 8) {
			if (!moved)
				m->at = at + 2;
			moved = true;
			at = load_be16(m->bytes + at) & POINTER_MAX;
			CHECK(++hops < 128);
			continue;
		}
		for (uint32_t i = 0; i <= m->bytes[at]; i++)
			CHECK(lower(m->bytes[at + i]) == lower(full[length + i]));
		length += m->bytes[at] + 1u;
		if (!m->bytes[at])
			break;
		at += m->bytes[at] + 1u;
	}
	if (!moved)
		m->at = at + 1;
	return length;
}

/* Compares the next record to that in full; returns the latter's length. */
static size_t same_record(struct message *m, const uint8_t *full)
{
	size_t at = same_name(m, full), end;
	uint32_t skip, names, have_end;

	CHECK(m->at + RR_FIXED <= m->length);
	CHECK(!memcmp(m->bytes + m->at, full + at, 8));
	have_end = m->at + RR_FIXED + load_be16(m->bytes + m->at + 8);
	end = at + RR_FIXED + load_be16(full + at + 8);
	dns_names_of_type(load_be16(full + at), &skip, &names);
	m->at += RR_FIXED;
	at += RR_FIXED;
	CHECK(!memcmp(m->bytes + m->at, full + at, names ? skip : 0));
	m->at += names ? skip : 0;
	at += names ? skip : 0;
	while (names--)
		at += same_name(m, full + at);
	CHECK(end - at == have_end - m->at && have_end <= m->length);
	CHECK(!memcmp(m->bytes + m->at, full + at, end - at));
	m->at = have_end;
	return end;
}

/*
 * Puts the image behind a question for another name: that it was made for with `front` before it,
 * or in the place of the wildcard's label.
 */
static void compose(struct message *m, const struct zone_image *image, const struct body *made,
		    const char *front)
{
	const uint8_t *body = (const uint8_t *)(image + 1);
	const uint8_t *fixups = body + image->length + image->length % 2;
	uint32_t less = made->wildcard ? 2 : 0, longer = (uint32_t)strlen(front) - less, start;

	memset(m->bytes, 0, HEADER_SIZE);
	memcpy(m->bytes + HEADER_SIZE, front, longer + less);
	memcpy(m->bytes + HEADER_SIZE + longer + less, made->question + less, image->base - less);
	start = HEADER_SIZE + longer + image->base + 4;
	memcpy(m->bytes + start, body, image->length);
	for (uint32_t i = 0; i < image->fixups; i++) {
		uint16_t at;

		memcpy(&at, fixups + i * 2, sizeof at);
		CHECK(at + 2 <= image->length);
		store_be16(m->bytes + start + at,
			   (uint16_t)(load_be16(m->bytes + start + at) + longer));
	}
	m->question = image->base + longer;
	m->at = start;
	m->length = start + image->length;
}

/* The owner of an answer is the question's name, which is written as "" in what was expected. */
static void compare(const struct zone_image *image, const struct body *body,
		    const struct expected *expected, const char *front)
{
	static struct message message;
	uint32_t records = 0;
	size_t at = 0;

	compose(&message, image, body, front);
	for (uint32_t n = 0; n < BODY_SECTIONS; n++)
		records += load_be16(image->counts + n * 2);
	CHECK(records <= expected->records);
	while (records--) {
		if (load_be16(message.bytes + message.at) == (POINTER | HEADER_SIZE) &&
		    expected->bytes[at] == 0xff) {
			static uint8_t full[1 << 17];
			uint32_t length = message.question;
			size_t rest = RR_FIXED + load_be16(expected->bytes + at + 1 + 8);

			memcpy(full, message.bytes + HEADER_SIZE, length);
			memcpy(full + length, expected->bytes + at + 1, rest);
			CHECK(same_record(&message, full) == length + rest);
			at += 1 + rest;
		} else {
			at += same_record(&message, expected->bytes + at);
		}
	}
	CHECK(message.at == message.length);
}

/* -------------------------------------------------------------------------------------------- */

static void expect(struct expected *expected, const struct body_record *record)
{
	uint8_t *at = expected->bytes + expected->length, *start = at;

	if (record->owner)
		memcpy(at, record->owner, record->owner_length);
	else
		*at = 0xff;
	at += record->owner ? record->owner_length : 1;
	store_be16(at, record->type);
	store_be16(at + 2, CLASS_IN);
	store_be32(at + 4, record->ttl);
	store_be16(at + 8, (uint16_t)record->length);
	memcpy(at + RR_FIXED, record->rdata, record->length);
	expected->length += (size_t)(at + RR_FIXED + record->length - start);
	expected->records++;
}

/* Adds the records; false if one was refused. */
static bool build(struct body *body, struct input *input, uint32_t options,
		  struct expected *expected)
{
	static uint8_t owner[1024], rdata[1 << 17];
	uint32_t section = 0;

	while (input->at < input->end && expected->records < RECORDS &&
	       expected->length < sizeof expected->bytes - (1 << 17)) {
		uint32_t how = next(input);
		struct body_record record = {.rdata = rdata, .ttl = how};

		if (how & 0x80 && section < BODY_ADDITIONAL)
			section++;
		if (how & 0x40 && section == BODY_ADDITIONAL && !body->has_optional)
			body_begin_optional(body);
		record.type = types[how % (sizeof types / sizeof *types)];
		if (section || how & 0x20) {
			record.owner = owner;
			record.owner_length = write_name(input, owner);
		}
		if (options & OPTION_RAW) {
			record.length = next(input);
			if (record.length > (size_t)(input->end - input->at))
				record.length = (uint32_t)(input->end - input->at);
			memcpy(rdata, input->at, record.length);
			input->at += record.length;
		} else {
			record.length = write_rdata(input, record.type, rdata);
		}
		if (body_add(body, section, &record))
			return false;
		expect(expected, &record);
	}
	return true;
}

/* An arena of one name, with the image as its only type and as its denials. */
static void check_arena(const struct body *body, uint32_t size)
{
	struct body_kind kind = {.kind = ZONE_KIND_NODATA, .authoritative = true};
	struct arena_node node = {.flags = ZONE_NODE_APEX, .types = 1, .name = body->question};
	int fd = memfd_create("fuzz", 0);
	struct arena arena;
	uint32_t image;
	void *found;

	CHECK(fd >= 0);
	node.length = body->question_length;
	arena_open(&arena, fd, 64, 1, 1);
	arena.head->nxdomain = arena_image(&arena, body, size, &kind);
	arena.head->nodata = node.fallback = arena_image(&arena, body, size, &kind);
	arena_node(&arena, &node);
	image = arena_image(&arena, body, size, &kind);
	arena_add_type(&arena, 1, image);
	arena_set_secure(&arena, image, arena_image(&arena, body, size, &kind));
	arena_end(&arena);
	arena_write(&arena);
	CHECK(!arena.error);
	CHECK(!posix_memalign(&found, 64, arena.head->size));
	CHECK(pread(fd, found, arena.head->size, 64) == (ssize_t)arena.head->size);
	CHECK(!geo_check(found, arena.head->size));
	arena_close(&arena);
	free(found);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct body body = {.names.seed = 1};
	static struct expected expected;
	struct input input = {data, data + size};
	uint32_t options = next(&input), made;
	uint8_t name[1024] = "\1*";
	struct body_question question = {.name = name};
	struct zone_image *image;
	bool fits;

	question.length = options & OPTION_WILDCARD ? 2 : 0;
	question.length += write_name(&input, name + question.length);
	for (uint32_t i = 0; i < question.length; i++)
		name[i] = lower(name[i]);
	question.shared = options & OPTION_SHARED;
	question.secure = options & OPTION_SECURE;
	expected.length = expected.records = 0;
	if (body_begin(&body, &question)) {
		CHECK(question.length > ZONE_NAME_MAX);
		return 0;
	}
	if (!build(&body, &input, options, &expected))
		return 0;
	made = body_end(&body);
	CHECK(made ? body.length <= BODY_MAX : body.length > BODY_MAX);
	if (!made)
		return 0;
	image = malloc(made);
	body_write(&body, &(struct body_kind){.kind = ZONE_KIND_NOERROR}, (uint8_t *)image);
	compare(image, &body, &expected, body.wildcard ? "\1q" : "");
	fits = image->base + strlen(LONGER) <= ZONE_NAME_MAX;
	if (fits && body.relocatable)
		compare(image, &body, &expected, LONGER);
	free(image);
	check_arena(&body, made);
	return 0;
}
