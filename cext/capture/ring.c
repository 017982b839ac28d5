// SPDX-License-Identifier: Apache-2.0
#include "capture/ring.h"

#include <string.h>

_Static_assert(sizeof(struct capture_record) == 80, "no padding, and a multiple of 8");

void capture_ring_put(struct capture_ring *ring, struct capture_record *record,
		      const uint8_t *request, const uint8_t *reply)
{
	uint64_t used = ring->head - __atomic_load_n(ring->tail, __ATOMIC_ACQUIRE);
	uint32_t size = capture_size(record->request, record->reply);
	uint32_t at = (uint32_t)ring->head & (ring->size - 1), left = ring->size - at;
	uint32_t pad = left < size ? left : 0;
	struct capture_record end = {.size = pad, .kind = CAPTURE_PAD};
	uint8_t *to;

	ring->shared->sampled++;
	/* A tail ahead of the head gives a large `used`, as if it were full. */
	if (used > ring->size || ring->size - used < (uint64_t)size + pad) {
		ring->shared->lost++;
		return;
	}
	if (pad)
		memcpy(ring->bytes + at, &end, 8);
	to = ring->bytes + ((at + pad) & (ring->size - 1));
	record->size = size;
	memcpy(to, record, sizeof *record);
	memcpy(to + sizeof *record, request, record->request);
	if (record->reply)
		memcpy(to + sizeof *record + record->request, reply, record->reply);
	ring->head += (uint64_t)size + pad;
	__atomic_store_n(&ring->shared->head, ring->head, __ATOMIC_RELEASE);
}

const struct capture_record *capture_ring_next(const uint8_t *bytes, uint32_t size, uint64_t head,
					       uint64_t *at, bool *broken)
{
	*broken = head < *at || head - *at > size || *at % 8 || head % 8;
	while (!*broken && *at != head) {
		uint32_t place = (uint32_t)*at & (size - 1);
		const struct capture_record *record = (const void *)(bytes + place);
		uint32_t whole = record->size;

		*broken = whole < 8 || whole % 8 || whole > size - place || whole > head - *at;
		if (*broken)
			break;
		if (record->kind == CAPTURE_PAD) {
			*at += whole;
			continue;
		}
		*broken = whole < sizeof *record || record->kind > CAPTURE_TCP ||
			  record->request > whole || record->reply > whole ||
			  capture_size(record->request, record->reply) != whole ||
			  record->payload > record->request;
		if (*broken)
			break;
		*at += whole;
		return record;
	}
	return NULL;
}
