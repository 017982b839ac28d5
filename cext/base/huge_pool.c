// SPDX-License-Identifier: Apache-2.0
#include "base/huge_pool.h"

#include <stdint.h>

#include "base/huge_map.h"

#define LINE 64

/* Eight sizes for each doubling: a block is at most an eighth larger than what is asked for. */
#define STEPS   8
#define CLASSES (STEPS * 8) /* up to HUGE_POOL_BLOCK_MAX, which is 1,024 lines */

struct free_block {
	struct free_block *next;
};

/* Begins each huge page. */
struct page {
	struct page *next;
	uint8_t spare[LINE - sizeof(struct page *)];
};

static struct {
	struct page *pages; /* the newest first */
	size_t used;        /* bytes of that one */
	size_t blocks;      /* that are in use */
	struct free_block *free[CLASSES];
} pool;

/* The class of a size, and the bytes that its blocks have. */
static uint32_t class_of(size_t size, size_t *bytes)
{
	uint32_t lines = size ? (uint32_t)((size + LINE - 1) / LINE) : 1, shift = 0, steps;

	while ((lines - 1) >> shift >= 2 * STEPS)
		shift++;
	steps = ((lines - 1) >> shift) + 1;
	*bytes = ((size_t)steps << shift) * LINE;
	return shift * STEPS + steps - 1;
}

static struct page *add_page(void)
{
	struct page *page = huge_map(HUGE_PAGE);

	if (page) {
		page->next = pool.pages;
		pool.pages = page;
		pool.used = sizeof *page;
	}
	return page;
}

void *huge_pool_get(size_t size)
{
	size_t bytes;
	uint32_t class = class_of(size, &bytes);
	struct free_block *block = pool.free[class];

	if (block) {
		pool.free[class] = block->next;
	} else {
		if ((!pool.pages || HUGE_PAGE - pool.used < bytes) && !add_page())
			return NULL;
		block = (struct free_block *)((char *)pool.pages + pool.used);
		pool.used += bytes;
	}
	pool.blocks++;
	return block;
}

static void free_pages(void)
{
	while (pool.pages) {
		struct page *page = pool.pages;

		pool.pages = page->next;
		huge_unmap(page, HUGE_PAGE);
	}
	for (uint32_t i = 0; i < CLASSES; i++)
		pool.free[i] = NULL;
}

void huge_pool_put(void *block, size_t size)
{
	struct free_block *freed = block;
	size_t bytes;
	uint32_t class = class_of(size, &bytes);

	freed->next = pool.free[class];
	pool.free[class] = freed;
	if (!--pool.blocks)
		free_pages();
}
