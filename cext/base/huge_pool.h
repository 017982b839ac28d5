/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small blocks side by side on huge pages: ten thousand zones of 2 KB on pages of 4 KiB each would
 * miss the TLB at every look-up. A block that is freed is used again for one of about its size;
 * pages go back to the system when the last block is freed.
 *
 * Threads: one at a time.
 */
#ifndef XDPKIT_HUGE_POOL_H
#define XDPKIT_HUGE_POOL_H

#include <stddef.h>

/* Larger blocks would leave much of a page unused. */
#define HUGE_POOL_BLOCK_MAX ((size_t)64 << 10)

/* At least `size` bytes, aligned to a cache line, not zeroed; NULL if out of memory. */
void *huge_pool_get(size_t size);

/* Frees a block; `size` is what huge_pool_get() was given. */
void huge_pool_put(void *block, size_t size);

#endif
