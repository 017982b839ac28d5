/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One AF_XDP socket with a UMEM of its own, as the loops use it. bindings/_xsk.pyx sets it up and
 * tears it down; while a loop runs, the rings and the free list belong to that loop's thread.
 *
 * There are as many frames as each ring has entries, so that no ring can ever be full when a frame
 * is to be put on it: nothing is lost between the rings, and no code handles that it were.
 */
#ifndef XDPKIT_XSK_H
#define XDPKIT_XSK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <linux/types.h>

#include "xdp/ring.h"
#include "steer.h"

/* Entries of each ring, and frames: 8 MiB of UMEM, 4 ms of arrivals at a million a second. */
#define XSK_FRAMES 4096

/* A descriptor's option, linux/if_xdp.h since 6.8: TX metadata lies before the packet. */
#define XSK_TX_METADATA 2

struct xsk {
	int fd;
	uint8_t *umem; /* XSK_FRAMES chunks of XDPKIT_CHUNK bytes, shared with the kernel */
	struct ring fill, completion, rx, tx;
	uint32_t free_count;
	uint64_t free[XSK_FRAMES]; /* last in, first out: the frame sent last is still in cache */
};

/* Chunk of a descriptor's address (aligned mode): what free list and fill ring hold. */
static inline uint64_t xsk_chunk(uint64_t address)
{
	return address & ~(uint64_t)(XDPKIT_CHUNK - 1);
}

/*
 * Asks for a received frame ahead of its turn: the CPU that received it wrote it, so the first
 * touch is a miss. The stamps lie on the line before; headers and the start of the payload on two.
 */
static inline void xsk_prefetch(const struct xsk *xsk, uint64_t address)
{
	const uint8_t *data = xsk->umem + address;

	__builtin_prefetch(data, 1);
	__builtin_prefetch(data + 64, 1);
	__builtin_prefetch(data - sizeof(struct steer_meta), 1);
}

/* How many sent frames the completion ring has. */
static inline uint32_t xsk_completed(struct xsk *xsk)
{
	return ring_peek(&xsk->completion, XSK_FRAMES);
}

/* Takes `n` sent frames off the completion ring to the free list. */
static inline void xsk_reap(struct xsk *xsk, uint32_t n)
{
	if (!n)
		return;
	for (uint32_t i = 0; i < n; i++)
		xsk->free[xsk->free_count++] =
			xsk_chunk(*ring_address(&xsk->completion, xsk->completion.at++));
	ring_release(&xsk->completion);
}

/* Gives all but `keep` free frames to the kernel to receive into. */
static inline void xsk_refill(struct xsk *xsk, uint32_t keep)
{
	if (xsk->free_count <= keep)
		return;
	while (xsk->free_count > keep)
		*ring_address(&xsk->fill, xsk->fill.at++) = xsk->free[--xsk->free_count];
	ring_publish(&xsk->fill);
}

/*
 * How often one kick is repeated while the kernel makes progress. Copy mode sends 32 frames a call
 * (TX_BATCH_SIZE in net/xdp/xsk.c) unless XDP_MAX_TX_SKB_BUDGET raised it.
 */
#define XSK_KICKS 4

/*
 * Makes the kernel send what is on the TX ring. Frames that it leaves there (no buffer memory,
 * device busy) stay for the next call. Returns the number of system calls.
 */
static inline uint32_t xsk_kick(struct xsk *xsk)
{
	uint32_t calls = 0, before = ring_untaken(&xsk->tx), left;

	while (before && calls < XSK_KICKS && ring_needs_wakeup(&xsk->tx)) {
		sendto(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
		calls++;
		left = ring_untaken(&xsk->tx);
		if (left == before)
			break;
		before = left;
	}
	return calls;
}

#endif
