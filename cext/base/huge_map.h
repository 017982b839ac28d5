/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for randomly accessed tables, on huge pages: with small pages every lookup would miss the
 * TLB as well as the cache.
 */
#ifndef XDPKIT_HUGE_MAP_H
#define XDPKIT_HUGE_MAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

/* A huge page of x86-64 and of arm64 with 4 KiB pages (Linux admin-guide/mm/transhuge). */
#define HUGE_PAGE ((size_t)2 << 20)

/* The bytes mapped for `size`: whole huge pages, unless that would more than double it. */
static inline size_t huge_map_bytes(size_t size)
{
	if (size < HUGE_PAGE / 2)
		return size ? size : 1; /* mmap() refuses 0 */
	return (size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
}

/*
 * Maps at least `size` zero bytes, page aligned, huge-page aligned from 1 MiB up; the caller owns
 * them until huge_unmap(). NULL if out of memory. Pages are allocated on first write.
 */
static inline void *huge_map(size_t size)
{
	size_t whole = huge_map_bytes(size), spare = whole < HUGE_PAGE ? 0 : HUGE_PAGE, before;
	uint8_t *start = mmap(NULL, whole + spare, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED)
		return NULL;
	if (!spare)
		return start;
	before = -(uintptr_t)start & (HUGE_PAGE - 1);
	if (before)
		munmap(start, before);
	if (spare - before)
		munmap(start + before + whole, spare - before);
	madvise(start + before, whole, MADV_HUGEPAGE);
	return start + before;
}

/* `size` is what huge_map() was given. */
static inline void huge_unmap(void *base, size_t size)
{
	munmap(base, huge_map_bytes(size));
}

#endif
