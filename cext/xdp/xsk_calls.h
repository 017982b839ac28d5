/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that create and map an AF_XDP socket, for xdpkit/_core/_xsk.pyx: the kernel's
 * Documentation/networking/af_xdp.rst and include/uapi/linux/if_xdp.h. Each returns what the call
 * returned, or NULL; errno says why.
 */
#ifndef XDPKIT_XSK_CALLS_H
#define XDPKIT_XSK_CALLS_H

#include <stdint.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "xdp/xsk.h"

/* Not in every libc's headers: include/linux/socket.h, asm-generic/socket.h. */
#ifndef SOL_XDP
#define SOL_XDP 283
#endif
#ifndef AF_XDP
#define AF_XDP 44
#endif
/* Linux 6.17, include/uapi/linux/if_xdp.h: the most frames that a copy-mode kick sends. */
#define XSK_MAX_TX_SKB_BUDGET 9

static inline uint8_t *xsk_map_umem(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Creates the UMEM's memfd, with huge pages if `flags` say so, and maps it. */
static inline uint8_t *xsk_make_umem(int *fd, size_t size, unsigned flags)
{
	uint8_t *p;

	*fd = memfd_create("xdpkit-umem", MFD_CLOEXEC | flags);
	if (*fd < 0)
		return NULL;
	p = ftruncate(*fd, (off_t)size) ? NULL : xsk_map_umem(*fd, size);
	if (p)
		return p;
	close(*fd);
	*fd = -1;
	return NULL;
}

/* struct xdp_umem_reg of linux/if_xdp.h since 6.8: a length where older ones have padding. */
struct xsk_umem_reg {
	uint64_t addr, len;
	uint32_t chunk_size, headroom, flags, tx_metadata_len;
};
_Static_assert(sizeof(struct xsk_umem_reg) == sizeof(struct xdp_umem_reg),
	       "same size as the kernel's");
/* Linux 6.11: without this flag an older kernel would silently ignore the length. */
#define XSK_UMEM_TX_METADATA_LEN (1 << 2)

static inline int xsk_register(int fd, void *umem, size_t size, unsigned chunk, unsigned metadata)
{
	struct xsk_umem_reg reg = {
		.addr = (uintptr_t)umem,
		.len = size,
		.chunk_size = chunk,
		.flags = metadata ? XSK_UMEM_TX_METADATA_LEN : 0,
		.tx_metadata_len = metadata,
	};
	return setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof reg);
}

static inline int xsk_bind(int fd, unsigned ifindex, unsigned queue, unsigned short flags)
{
	struct sockaddr_xdp address = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = flags,
		.sxdp_ifindex = ifindex,
		.sxdp_queue_id = queue,
	};
	return bind(fd, (struct sockaddr *)&address, sizeof address);
}

/*
 * Preferred busy polling, Documentation/networking/af_xdp.rst: a budget of one batch and the 20 us
 * of the kernel's samples. Where it is not available the loop spins all the same.
 */
static inline void xsk_prefer_busy_poll(int fd)
{
	int on = 1, us = 20, budget = 64;

	setsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof us);
	setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof budget);
}

static inline void *xsk_map_ring(int fd, struct ring *r, const void *offsets, unsigned which,
				 size_t *size)
{
	static const off_t pages[] = {XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING,
				      XDP_UMEM_PGOFF_FILL_RING, XDP_UMEM_PGOFF_COMPLETION_RING};
	const struct xdp_ring_offset *o = (const struct xdp_ring_offset *)offsets + which;
	char *p;

	*size = o->desc + r->size * (which < 2 ? sizeof(struct xdp_desc) : sizeof(uint64_t));
	p = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, pages[which]);
	if (p == MAP_FAILED)
		return NULL;
	r->producer = (uint32_t *)(p + o->producer);
	r->consumer = (uint32_t *)(p + o->consumer);
	r->flags = (uint32_t *)(p + o->flags);
	r->entries = p + o->desc;
	return p;
}

_Static_assert(offsetof(struct xdp_mmap_offsets, cr) == 3 * sizeof(struct xdp_ring_offset),
	       "rx, tx, fill, completion: the order that xsk_map_ring() relies on");

#endif
