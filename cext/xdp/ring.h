/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The four rings that an AF_XDP socket shares with the kernel
 * (Documentation/networking/af_xdp.rst): single producer, single consumer, power-of-two sizes,
 * free-running 32-bit indices.
 *
 *   fill        we produce frame addresses     the kernel consumes them to receive into
 *   RX          the kernel produces            we consume received frames
 *   TX          we produce descriptors         the kernel sends them
 *   completion  the kernel produces            we reclaim frames that were sent
 *
 * Only our own index is written here, with release semantics after the entries; the kernel's is
 * read with acquire semantics before the entries. Each ring belongs to one thread.
 */
#ifndef XDPKIT_RING_H
#define XDPKIT_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/if_xdp.h>

struct ring {
	uint32_t *producer;
	uint32_t *consumer;
	uint32_t *flags;
	void *entries; /* struct xdp_desc (rx, tx) or uint64_t addresses (fill, completion) */
	uint32_t size;
	uint32_t at; /* our own index, published by ring_publish() or ring_release() */
};

/* Consumer: the number of entries waiting from index `ring->at` on, at most `max`. */
static inline uint32_t ring_peek(const struct ring *ring, uint32_t max)
{
	/* Acquire: the kernel filled the entries before it moved its index. */
	uint32_t ready = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) - ring->at;

	return ready < max ? ready : max;
}

/* Consumer: gives the entries up to `ring->at` back to the kernel. */
static inline void ring_release(struct ring *ring)
{
	/* Release: we read the entries before the kernel may overwrite them. */
	__atomic_store_n(ring->consumer, ring->at, __ATOMIC_RELEASE);
}

/* Producer: shows the kernel the entries written up to `ring->at`. */
static inline void ring_publish(struct ring *ring)
{
	/* Release: the entries are written before the kernel sees the index. */
	__atomic_store_n(ring->producer, ring->at, __ATOMIC_RELEASE);
}

/*
 * Entries that one side has published and the other has not given back yet: for a third party, who
 * looks on. It is 0 if a single number was read while the other moved past it.
 */
static inline uint32_t ring_level(const struct ring *ring)
{
	uint32_t consumer = __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
	uint32_t level = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) - consumer;

	return level <= ring->size ? level : 0;
}

/* Producer: published entries that the kernel has not consumed yet. */
static inline uint32_t ring_untaken(const struct ring *ring)
{
	return ring->at - __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
}

static inline bool ring_needs_wakeup(const struct ring *ring)
{
	return __atomic_load_n(ring->flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP;
}

/* Either role: the entry at an index, which the caller owns according to the functions above. */
static inline struct xdp_desc *ring_desc(const struct ring *ring, uint32_t index)
{
	return (struct xdp_desc *)ring->entries + (index & (ring->size - 1));
}

/* How many of the next `n` entries, from `ring->at` on, are adjacent in memory: at least 1. */
static inline uint32_t ring_adjacent(const struct ring *ring, uint32_t n)
{
	uint32_t left = ring->size - (ring->at & (ring->size - 1));

	return left < n ? left : n;
}

static inline uint64_t *ring_address(const struct ring *ring, uint32_t index)
{
	return (uint64_t *)ring->entries + (index & (ring->size - 1));
}

#endif
