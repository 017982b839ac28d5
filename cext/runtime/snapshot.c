// SPDX-License-Identifier: Apache-2.0
#include "runtime/snapshot.h"

/* The slot of an address, or the empty one where it would go. */
static uint32_t reserved_find(const uint64_t *used, const struct reserved_sources *reserved,
			      const uint8_t *address, uint8_t ip_version)
{
	uint32_t slot = snapshot_slot(address, ip_version), bytes = ip_version == 4 ? 4 : 16;

	while (used[slot / 64] >> slot % 64 & 1) {
		const struct reserved_source *have = &reserved->slot[slot];

		if (have->ip_version == ip_version && !memcmp(have->address, address, bytes))
			break;
		slot = (slot + 1) % SNAPSHOT_RESERVED_SLOTS;
	}
	return slot;
}

__attribute__((cold, noinline)) bool reserved_has(const struct snapshot *snap,
						  const uint8_t *address, uint8_t ip_version)
{
	uint32_t slot = reserved_find(snap->reserved_used, snap->reserved, address, ip_version);

	return snap->reserved_used[slot / 64] >> slot % 64 & 1;
}

void reserved_add(struct reserved_sources *reserved, const uint8_t *address, uint8_t ip_version)
{
	uint32_t slot = reserved_find(reserved->used, reserved, address, ip_version);

	memcpy(reserved->slot[slot].address, address, ip_version == 4 ? 4 : 16);
	reserved->slot[slot].ip_version = ip_version;
	reserved->used[slot / 64] |= 1ull << slot % 64;
}
