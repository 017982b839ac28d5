// SPDX-License-Identifier: Apache-2.0
#include "slowpath/tcp_table.h"

#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"

/* Doubly linked lists in an array of links; `head` is a list's sentinel entry. */

static void list_remove(struct tcp_link *links, uint32_t i)
{
	links[links[i].previous].next = links[i].next;
	links[links[i].next].previous = links[i].previous;
}

static void list_append(struct tcp_link *links, uint32_t head, uint32_t i)
{
	links[i] = (struct tcp_link){.previous = links[head].previous, .next = head};
	links[links[i].previous].next = i;
	links[head].previous = i;
}

/* Entries 1 to `count` all go in the list at count + 1; the list at 0 is empty. */
static void list_open(struct tcp_link *links, uint32_t count)
{
	links[0] = (struct tcp_link){0, 0};
	links[count + 1] = (struct tcp_link){count + 1, count + 1};
	for (uint32_t i = 1; i <= count; i++)
		list_append(links, count + 1, i);
}

/* Moves the first entry of the list at `head` to the end of the list at `to`; 0 if empty. */
static uint32_t list_take(struct tcp_link *links, uint32_t head, uint32_t to)
{
	uint32_t i = links[head].next;

	if (i == head)
		return 0;
	list_remove(links, i);
	list_append(links, to, i);
	return i;
}

/* ---------------------------------------------------------------------------------------------- */

/* Always less than half full, so every search terminates. */
static uint32_t source_bits(const struct tcp_limits *limits)
{
	return 33u - (uint32_t)__builtin_clz(limits->connections | 1);
}

/* Offsets of the arrays in the table's memory, and its size. */
struct layout {
	size_t input, connection, order, source, slot, slot_order, size;
};

/* Each array starts on a cache line. */
static size_t lay_out(struct layout *layout, size_t count, size_t bytes)
{
	size_t at = layout->size;

	layout->size += (count * bytes + 63) & ~(size_t)63;
	return at;
}

/* Entry 0 means none; lists have one extra entry, the head of the free list. */
static struct layout layout_of(const struct tcp_limits *limits)
{
	size_t connections = limits->connections + 1ul, slots = limits->slots + 1ul;
	struct layout l = {0};

	l.input = lay_out(&l, connections, TCP_INPUT);
	l.connection = lay_out(&l, connections, sizeof(struct tcp_connection));
	l.order = lay_out(&l, connections + 1, sizeof(struct tcp_link));
	l.source = lay_out(&l, 1ul << source_bits(limits), sizeof(struct tcp_source));
	l.slot = lay_out(&l, slots, sizeof(struct tcp_slot));
	l.slot_order = lay_out(&l, slots + 1, sizeof(struct tcp_link));
	return l;
}

size_t tcp_table_bytes(const struct tcp_limits *limits)
{
	return layout_of(limits).size;
}

void tcp_table_open(struct tcp_table *table, const struct tcp_limits *limits, void *memory,
		    const uint64_t seed[2])
{
	struct layout l = layout_of(limits);
	uint8_t *base = memory;

	*table = (struct tcp_table){
		.limits = *limits,
		.source_bits = source_bits(limits),
		.seed = {seed[0], seed[1]},
		.connection = (struct tcp_connection *)(base + l.connection),
		.order = (struct tcp_link *)(base + l.order),
		.slot = (struct tcp_slot *)(base + l.slot),
		.slot_order = (struct tcp_link *)(base + l.slot_order),
		.source = (struct tcp_source *)(base + l.source),
		.input = (uint8_t (*)[TCP_INPUT])(base + l.input),
	};
	list_open(table->order, limits->connections);
	list_open(table->slot_order, limits->slots);
	for (uint32_t i = 0; i <= limits->connections; i++)
		table->connection[i].fd = -1;
}

/* ---------------------------------------------------------------------------------------------- */

/* The prefix that counts as one source. */
static uint64_t source_prefix(const uint8_t *source, uint8_t ip_version)
{
	return ip_version == 4 ? load_be32(source) : load_be64(source);
}

/* Both factors are secret, so nobody can provoke collisions. */
static uint32_t source_slot(const struct tcp_table *table, uint64_t prefix, uint8_t ip_version)
{
	uint64_t hash = hash_fold(prefix ^ ip_version ^ table->seed[0], table->seed[1] | 1);

	return (uint32_t)(hash >> (64 - table->source_bits));
}

/* The entry of a source, or the empty entry where it would go. */
static struct tcp_source *source_find(const struct tcp_table *table, const uint8_t *source,
				      uint8_t ip_version)
{
	uint64_t prefix = source_prefix(source, ip_version);
	uint32_t slot = source_slot(table, prefix, ip_version);
	struct tcp_source *found = &table->source[slot];

	while (found->connections && (found->prefix != prefix || found->ip_version != ip_version)) {
		slot = (slot + 1) & ((1u << table->source_bits) - 1);
		found = &table->source[slot];
	}
	return found;
}

/* Closes the gap of a removed entry by moving up later ones whose search would stop there. */
static void source_close_gap(struct tcp_table *table, uint32_t gap)
{
	uint32_t mask = (1u << table->source_bits) - 1, at = gap;

	for (;;) {
		struct tcp_source *next;
		uint32_t slot;

		at = (at + 1) & mask;
		next = &table->source[at];
		if (!next->connections)
			return;
		slot = source_slot(table, next->prefix, next->ip_version);
		if (((at - slot) & mask) < ((at - gap) & mask))
			continue;
		table->source[gap] = *next;
		next->connections = 0;
		gap = at;
	}
}

bool tcp_source_is_full(const struct tcp_table *table, const uint8_t *source, uint8_t ip_version)
{
	return source_find(table, source, ip_version)->connections >= table->limits.per_source;
}

/* ---------------------------------------------------------------------------------------------- */

struct tcp_connection *tcp_admit(struct tcp_table *table, int fd, const uint8_t *source,
				 uint8_t ip_version, uint16_t port, uint64_t now_ns)
{
	uint32_t i = list_take(table->order, table->limits.connections + 1, 0);
	struct tcp_connection *c = &table->connection[i];
	struct tcp_source *from;

	if (!i)
		return NULL;
	*c = (struct tcp_connection){
		.active_ns = now_ns, .fd = fd, .port = port, .ip_version = ip_version};
	memcpy(c->source, source, ip_version == 4 ? 4 : 16);
	from = source_find(table, source, ip_version);
	from->prefix = source_prefix(source, ip_version);
	from->ip_version = ip_version;
	from->connections++;
	table->used++;
	return c;
}

void tcp_touch(struct tcp_table *table, struct tcp_connection *c, uint64_t now_ns)
{
	uint32_t i = tcp_index(table, c);

	c->active_ns = now_ns;
	list_remove(table->order, i);
	list_append(table->order, 0, i);
}

struct tcp_connection *tcp_longest_idle(const struct tcp_table *table)
{
	uint32_t i = table->order[0].next;

	return i ? &table->connection[i] : NULL;
}

int tcp_release(struct tcp_table *table, struct tcp_connection *c)
{
	struct tcp_source *from = source_find(table, c->source, c->ip_version);
	uint32_t i = tcp_index(table, c);
	int fd = c->fd;

	if (c->unsent)
		tcp_free_unsent(table, c);
	if (c->large)
		tcp_free_large(table, c);
	if (!--from->connections)
		source_close_gap(table, (uint32_t)(from - table->source));
	list_remove(table->order, i);
	list_append(table->order, table->limits.connections + 1, i);
	c->fd = -1;
	table->used--;
	return fd;
}

/* ---------------------------------------------------------------------------------------------- */

struct tcp_connection *tcp_slot_victim(const struct tcp_table *table)
{
	uint32_t free_ones = table->limits.slots + 1, oldest = table->slot_order[0].next;

	if (table->slot_order[free_ones].next != free_ones)
		return NULL;
	return &table->connection[table->slot[oldest].connection];
}

/* Takes a free slot for `length` bytes; returns its number. */
static uint32_t take_slot(struct tcp_table *table, const struct tcp_connection *c,
			  const uint8_t *bytes, uint32_t length)
{
	uint32_t i = list_take(table->slot_order, table->limits.slots + 1, 0);
	struct tcp_slot *slot = &table->slot[i];

	slot->from = 0;
	slot->to = length;
	slot->connection = tcp_index(table, c);
	memcpy(slot->bytes, bytes, length);
	return i;
}

static void free_slot(struct tcp_table *table, uint32_t *i)
{
	list_remove(table->slot_order, *i);
	list_append(table->slot_order, table->limits.slots + 1, *i);
	*i = 0;
}

void tcp_keep_unsent(struct tcp_table *table, struct tcp_connection *c, const uint8_t *bytes,
		     uint32_t length)
{
	c->unsent = take_slot(table, c, bytes, length);
}

void tcp_free_unsent(struct tcp_table *table, struct tcp_connection *c)
{
	free_slot(table, &c->unsent);
}

void tcp_take_large(struct tcp_table *table, struct tcp_connection *c)
{
	const uint8_t *input = table->input[tcp_index(table, c)];

	c->held -= c->at;
	c->large = take_slot(table, c, input + c->at, c->held);
	c->at = 0;
}

void tcp_free_large(struct tcp_table *table, struct tcp_connection *c)
{
	free_slot(table, &c->large);
	c->at = c->held = 0;
}
