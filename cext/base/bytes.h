/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unaligned loads and stores, in network byte order where the name says `be`. Nothing guarantees
 * the alignment of a frame's headers; memcpy of a constant size compiles to one move.
 */
#ifndef XDPKIT_BYTES_H
#define XDPKIT_BYTES_H

#include <stdint.h>
#include <string.h>

/* Host byte order. */
static inline uint16_t load_u16(const void *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint32_t load_u32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint64_t load_u64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static inline void store_u16(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof v);
}

static inline void store_u32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof v);
}

static inline void store_u64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof v);
}

static inline uint16_t load_be16(const void *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return __builtin_bswap16(v);
}

static inline uint32_t load_be32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return __builtin_bswap32(v);
}

static inline uint64_t load_be64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return __builtin_bswap64(v);
}

static inline void store_be16(void *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof v);
}

static inline void store_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof v);
}

static inline void store_be64(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof v);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "the byte swaps above assume a little-endian host");

#endif
