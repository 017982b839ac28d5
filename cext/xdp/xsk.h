/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One AF_XDP socket with its own UMEM, as the loops use it. xdpkit/_core/_xsk.pyx sets it up and
 * tears it down; while a loop runs, the rings and the free list belong to that loop's thread.
 *
 * There are as many frames as each ring has entries, so no ring can be full when a frame must go on
 * it: nothing is lost between the rings, and no code needs to handle that case.
 */
#ifndef XDPKIT_XSK_H
#define XDPKIT_XSK_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <linux/types.h>

#include "xdp/ring.h"
#include "steer.h"

/* Entries of each ring, and frames: 8 MiB of UMEM, 4 ms of frames at a million per second. */
#define XSK_FRAMES 4096

/* A descriptor option, linux/if_xdp.h since 6.8: TX metadata precedes the packet. */
#define XSK_TX_METADATA 2

struct xsk {
	int fd;
	uint8_t *umem; /* XSK_FRAMES chunks of XDPKIT_CHUNK bytes, shared with the kernel */
	struct ring fill, completion, rx, tx;
	uint64_t tx_lost; /* frames that copy mode took and then dropped */
	uint32_t free_count;
	uint64_t free[XSK_FRAMES]; /* last in, first out: the frame sent last is still in cache */
};

/* The chunk of a descriptor's address (aligned mode), as free list and fill ring hold it. */
static inline uint64_t xsk_chunk(uint64_t address)
{
	return address & ~(uint64_t)(XDPKIT_CHUNK - 1);
}

/*
 * Prefetches a received frame: the CPU that received it wrote it, so the first access is a miss.
 * The stamps are on the preceding cache line; headers and the start of the payload on the next two.
 */
static inline void xsk_prefetch(const uint8_t *data)
{
	__builtin_prefetch(data, 1);
	__builtin_prefetch(data + 64, 1);
	__builtin_prefetch(data - sizeof(struct steer_meta), 1);
}

/* The number of sent frames on the completion ring. */
static inline uint32_t xsk_completed(struct xsk *xsk)
{
	return ring_peek(&xsk->completion, XSK_FRAMES);
}

/* Moves `n` sent frames from the completion ring to the free list. */
static inline void xsk_reap(struct xsk *xsk, uint32_t n)
{
	if (!n)
		return;
	for (uint32_t i = 0; i < n; i++)
		xsk->free[xsk->free_count++] =
			xsk_chunk(*ring_address(&xsk->completion, xsk->completion.at++));
	ring_release(&xsk->completion);
}

/* Puts all but `keep` free frames on the fill ring for the kernel to receive into. */
static inline void xsk_refill(struct xsk *xsk, uint32_t keep)
{
	if (xsk->free_count <= keep)
		return;
	while (xsk->free_count > keep)
		*ring_address(&xsk->fill, xsk->fill.at++) = xsk->free[--xsk->free_count];
	ring_publish(&xsk->fill);
}

/*
 * The most system calls per kick while the kernel makes progress. Copy mode sends 32 frames per
 * call (TX_BATCH_SIZE in net/xdp/xsk.c) unless XDP_MAX_TX_SKB_BUDGET raised it.
 */
#define XSK_KICKS 4

/*
 * Kicks: makes the kernel send what is on the TX ring. Frames that it leaves there (out of buffers,
 * device busy) stay for the next call. Returns the number of system calls.
 *
 * In copy mode, EBUSY is one frame that the kernel took from the ring and then dropped, as a link
 * without carrier does (xsk_generic_xmit in net/xdp/xsk.c): the call ends with it.
 */
static inline uint32_t xsk_kick(struct xsk *xsk)
{
	uint32_t calls = 0, before = ring_untaken(&xsk->tx), left;

	while (before && calls < XSK_KICKS && ring_needs_wakeup(&xsk->tx)) {
		if (sendto(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno == EBUSY)
			xsk->tx_lost++;
		calls++;
		left = ring_untaken(&xsk->tx);
		if (left == before)
			break;
		before = left;
	}
	return calls;
}

#endif
