// SPDX-License-Identifier: Apache-2.0
#include "compile/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "zone/checksum.h"

/* A write of so many bytes costs a system call and page faults, no more. */
#define FLUSH_BYTES (1u << 22)
#define FIRST_BYTES 4096u

/* What was written is read again in pieces that a cache holds. */
#define READ_BYTES (1u << 18)

static bool fail(struct arena *arena, int error)
{
	if (!arena->error)
		arena->error = error;
	return false;
}

/* -------------------------------------------------------------------------------------------- */

void arena_open(struct arena *arena, int fd, uint64_t start, uint32_t nodes, uint64_t seed)
{
	uint32_t buckets = nodes / ZONE_FILL + 1;

	*arena = (struct arena){.fd = fd, .start = start, .expected = nodes};
	arena->head_size = sizeof *arena->head + (size_t)buckets * sizeof(struct zone_bucket);
	arena->flushed = arena->head_size;
	arena->head = calloc(1, arena->head_size);
	if (!arena->head) {
		fail(arena, ENOMEM);
		return;
	}
	arena->head->magic = ZONE_MAGIC;
	arena->head->version = ZONE_VERSION;
	arena->head->seed = seed;
	arena->head->buckets = buckets;
}

void arena_close(struct arena *arena)
{
	free(arena->head);
	free(arena->buffer);
	arena->head = NULL;
	arena->buffer = NULL;
}

static bool write_at(struct arena *arena, const void *data, size_t length, uint64_t at)
{
	const uint8_t *bytes = data;

	while (length) {
		ssize_t written = pwrite(arena->fd, bytes, length, (off_t)(arena->start + at));

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return fail(arena, written ? errno : EIO);
		bytes += written;
		length -= (size_t)written;
		at += (uint64_t)written;
	}
	return true;
}

static void flush(struct arena *arena)
{
	if (!write_at(arena, arena->buffer, arena->used, arena->flushed))
		return;
	arena->flushed += arena->used;
	arena->used = 0;
}

/* Between two things that are written: what was written last may still be changed in the buffer. */
static void flush_if_large(struct arena *arena)
{
	if (!arena->error && arena->used >= FLUSH_BYTES)
		flush(arena);
}

/* Room for another `length` bytes, a multiple of ZONE_UNIT; NULL after an error. */
static uint8_t *extend(struct arena *arena, size_t length)
{
	size_t room = arena->room ? arena->room : FIRST_BYTES;
	uint8_t *at;

	if (arena->error)
		return NULL;
	if (arena_size(arena) + length > (uint64_t)ZONE_UNIT << 32) {
		arena->too_large = true;
		fail(arena, EFBIG);
		return NULL;
	}
	while (room < arena->used + length)
		room *= 2;
	if (room > arena->room) {
		uint8_t *buffer = realloc(arena->buffer, room);

		if (!buffer) {
			fail(arena, ENOMEM);
			return NULL;
		}
		arena->buffer = buffer;
		arena->room = room;
	}
	at = arena->buffer + arena->used;
	arena->used += length;
	return at;
}

static size_t padded(size_t length)
{
	return (length + ZONE_UNIT - 1) / ZONE_UNIT * ZONE_UNIT;
}

static uint32_t offset_of(const struct arena *arena, const uint8_t *at)
{
	return (uint32_t)((arena->flushed + (uint64_t)(at - arena->buffer)) / ZONE_UNIT);
}

uint32_t arena_put(struct arena *arena, const void *data, size_t length)
{
	uint8_t *at;

	flush_if_large(arena);
	at = extend(arena, padded(length));
	if (!at)
		return 0;
	memcpy(at, data, length);
	memset(at + length, 0, padded(length) - length);
	return offset_of(arena, at);
}

/* -------------------------------------------------------------------------------------------- */

/* Bytes after the last ones, not padded: arena_part_end() pads. */
static void append(struct arena *arena, const void *data, size_t length)
{
	uint8_t *at = extend(arena, length);

	if (at && length)
		memcpy(at, data, length);
}

uint32_t arena_part(struct arena *arena, const uint8_t *key, uint32_t key_length,
		    const uint8_t *labels, uint32_t labels_length)
{
	struct zone_part part = {.key = (uint16_t)key_length, .labels = (uint16_t)labels_length};

	flush_if_large(arena);
	arena->part = arena->used;
	append(arena, &part, sizeof part);
	append(arena, key, key_length);
	append(arena, labels, labels_length);
	return arena->error ? 0 : offset_of(arena, arena->buffer + arena->part);
}

void arena_part_record(struct arena *arena, const struct body_record *record)
{
	uint8_t fixed[RR_FIXED];

	if (record->length > UINT16_MAX)
		fail(arena, EINVAL);
	store_be16(fixed, record->type);
	store_be16(fixed + 2, CLASS_IN);
	store_be32(fixed + 4, record->ttl);
	store_be16(fixed + 8, (uint16_t)record->length);
	append(arena, fixed, sizeof fixed);
	append(arena, record->rdata, record->length);
	if (!arena->error)
		((struct zone_part *)(arena->buffer + arena->part))->records++;
}

uint64_t arena_part_end(struct arena *arena)
{
	struct zone_part *part;
	uint64_t size;

	if (arena->error)
		return 0;
	part = (struct zone_part *)(arena->buffer + arena->part);
	/* Each record has a pointer for its owner, the first one after the labels. */
	size = arena->used - arena->part - sizeof *part - part->key + part->records * 2u;
	part->size = (uint16_t)size;
	append(arena, (const uint8_t[ZONE_UNIT]){0}, padded(arena->used) - arena->used);
	return size;
}

/* -------------------------------------------------------------------------------------------- */

uint32_t arena_image(struct arena *arena, const struct body *body, uint32_t size,
		     const struct body_kind *kind)
{
	uint8_t *at = extend(arena, size);

	if (!at)
		return 0;
	body_write(body, kind, at);
	return offset_of(arena, at);
}

void arena_set_secure(struct arena *arena, uint32_t image, uint32_t secure)
{
	uint64_t at = (uint64_t)image * ZONE_UNIT - arena->flushed;

	if (!arena->error)
		((struct zone_image *)(arena->buffer + at))->secure = secure;
}

/* -------------------------------------------------------------------------------------------- */

static void count_node(struct arena *arena, const struct arena_node *node, uint32_t offset,
		       uint32_t labels)
{
	struct zone_arena *head = arena->head;

	head->node_count++;
	if (labels > head->max_labels)
		head->max_labels = (uint8_t)labels;
	if (node->flags & ZONE_NODE_APEX) {
		head->apex = offset;
		head->min_labels = (uint8_t)labels;
	}
}

uint32_t arena_node(struct arena *arena, const struct arena_node *node)
{
	size_t types = node->types * sizeof(struct zone_type), name = padded(node->length);
	struct name_labels labels;
	struct zone_node *at;
	uint8_t *bytes;
	uint32_t offset;

	flush_if_large(arena);
	if (!arena->error &&
	    (!name_parse(&labels, node->name, node->length) || labels.length != node->length ||
	     arena->head->node_count == arena->expected))
		fail(arena, EINVAL);
	if (node->denial)
		append(arena, node->denial, sizeof *node->denial);
	at = (struct zone_node *)extend(arena, sizeof *at + types + name);
	if (!at)
		return 0;
	*at = (struct zone_node){
		.flags = node->flags,
		.name_length = (uint8_t)node->length,
		.type_count = node->types,
		.fallback = node->fallback,
	};
	offset = offset_of(arena, (const uint8_t *)at);
	at->at = offset;
	bytes = (uint8_t *)(at + 1) + types;
	memset(bytes + name - ZONE_UNIT, 0, ZONE_UNIT);
	memcpy(bytes, node->name, node->length);
	table_add((struct zone_bucket *)(arena->head + 1), arena->head->buckets,
		  table_hash(arena->head->seed, bytes, node->length), offset);
	count_node(arena, node, offset, labels.count);
	arena->node = (size_t)((uint8_t *)at - arena->buffer);
	arena->types_at = arena->node + sizeof *at;
	arena->types_left = node->types;
	return offset;
}

static void add_entry(struct arena *arena, const struct zone_type *entry)
{
	if (!arena->types_left)
		fail(arena, EINVAL);
	if (arena->error)
		return;
	memcpy(arena->buffer + arena->types_at, entry, sizeof *entry);
	arena->types_at += sizeof *entry;
	arena->types_left--;
}

void arena_add_type(struct arena *arena, uint16_t type, uint32_t image)
{
	add_entry(arena, &(struct zone_type){.type = type, .image = image});
}

void arena_add_choice(struct arena *arena, uint16_t type, uint32_t choice)
{
	add_entry(arena,
		  &(struct zone_type){.type = type, .flags = ZONE_TYPE_CHOICE, .image = choice});
}

void arena_set_fallback(struct arena *arena, uint32_t image)
{
	if (!arena->error)
		((struct zone_node *)(arena->buffer + arena->node))->fallback = image;
}

/* Sets 32 bits of what was written, which may be in the file. */
static void set(struct arena *arena, uint64_t at, uint32_t value)
{
	if (arena->error)
		return;
	if (at < arena->flushed)
		write_at(arena, &value, sizeof value, at);
	else
		memcpy(arena->buffer + (at - arena->flushed), &value, sizeof value);
}

void arena_set_wildcard(struct arena *arena, uint32_t node, uint32_t wildcard)
{
	set(arena, (uint64_t)node * ZONE_UNIT + offsetof(struct zone_node, wildcard), wildcard);
}

void arena_set_provable(struct arena *arena, uint32_t node, uint32_t provable)
{
	set(arena,
	    (uint64_t)node * ZONE_UNIT - sizeof(struct zone_denial) +
		    offsetof(struct zone_denial, provable),
	    provable);
}

/* -------------------------------------------------------------------------------------------- */

void arena_end(struct arena *arena)
{
	uint8_t *slack = extend(arena, ZONE_SLACK);

	if (!slack)
		return;
	memset(slack, 0, ZONE_SLACK);
	if (arena->head->node_count != arena->expected)
		fail(arena, EINVAL);
	arena->head->size = arena_size(arena);
	if (arena->flushed != arena->head_size)
		flush(arena);
}

/* Adds what is in the file; the buffer is free, and large: else nothing would have been flushed. */
static void sum_file(struct arena *arena, struct zone_checksum *sum)
{
	uint64_t at = arena->head_size;

	while (at < arena->flushed) {
		uint64_t left = arena->flushed - at;
		size_t wanted = left < READ_BYTES ? left : READ_BYTES, have = 0;

		while (have < wanted) {
			ssize_t got = pread(arena->fd, arena->buffer + have, wanted - have,
					    (off_t)(arena->start + at + have));

			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0) {
				fail(arena, got ? errno : EIO);
				return;
			}
			have += (size_t)got;
		}
		zone_checksum_add(sum, arena->buffer, have);
		at += have;
	}
}

static void set_checksum(struct arena *arena)
{
	struct zone_checksum sum;

	arena->head->checksum = 0;
	zone_checksum_begin(&sum);
	zone_checksum_add(&sum, arena->head, arena->head_size);
	if (arena->used)
		zone_checksum_add(&sum, arena->buffer, arena->used);
	else
		sum_file(arena, &sum);
	arena->head->checksum = zone_checksum_end(&sum);
}

void arena_write(struct arena *arena)
{
	size_t whole = arena->head_size + arena->used;

	if (arena->error)
		return;
	set_checksum(arena);
	if (arena->error)
		return;
	/* All in memory, as with most zones: one write. */
	if (arena->used && whole <= FIRST_BYTES) {
		uint8_t bytes[FIRST_BYTES];

		memcpy(bytes, arena->head, arena->head_size);
		memcpy(bytes + arena->head_size, arena->buffer, arena->used);
		write_at(arena, bytes, whole, 0);
		return;
	}
	if (write_at(arena, arena->head, arena->head_size, 0) && arena->used)
		flush(arena);
}
