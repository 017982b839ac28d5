/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything an answer depends on besides its request: immutable, built by the control plane,
 * published by one pointer store (qsbr.h) and freed when every reader has passed on.
 */
#ifndef XDPKIT_SNAPSHOT_H
#define XDPKIT_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <linux/types.h>

#include "steer.h"
#include "zone.h"

/* The NTP server's own state, RFC 5905 section 9.1 (system variables); wire units. */
struct ntp_state {
	uint8_t leap;             /* 0..3, 3 = unsynchronised */
	uint8_t stratum;          /* 1..15; 16 and above are sent as 0 */
	int8_t precision;         /* log2 seconds */
	uint32_t root_delay;      /* NTP short format, 1/65536 s */
	uint32_t root_dispersion; /* NTP short format, 1/65536 s */
	uint32_t refid;           /* host order; 7f7f0101 for a local clock */
	uint32_t mono_epoch;      /* id of the monotonic clock below, for the 0xF323 field */
	int64_t mono_offset_ns;   /* monotonic clock minus UTC */
};

/* Room for the addresses that a reply is never sent to: ours and our subnets' broadcast. */
#define SNAPSHOT_RESERVED_MAX 256

struct reserved_source {
	uint8_t address[16]; /* network order; IPv4 in the first 4 bytes, 0 behind */
	uint8_t ip_version;  /* 4 or 6 */
};

struct snapshot {
	const struct zone_arena *zones; /* NULL when DNS is off; owned by the control plane */
	uint16_t dns_max_udp;           /* bytes of a DNS reply over UDP at most */
	uint16_t port[SERVICE_COUNT];   /* UDP port of each service, host order; 0 = off */
	uint32_t echo_spin_ns;          /* busy time per echo, the knob of the benchmarks */
	struct ntp_state ntp;
	uint64_t reserved_filter[4]; /* bit set by address hash: a miss means "not reserved" */
	uint32_t reserved_count;
	struct reserved_source reserved[SNAPSHOT_RESERVED_MAX];
};

/* Which of the 256 bits of reserved_filter stands for an address. */
static inline uint8_t snapshot_reserved_hash(const uint8_t *address, uint8_t ip_version)
{
	uint64_t low = 0, high = 0;

	if (ip_version == 4) {
		memcpy(&low, address, 4);
	} else {
		memcpy(&low, address, 8);
		memcpy(&high, address + 8, 8);
	}
	/* 2^64 over the golden ratio (Knuth, TAOCP 6.4): spreads any one bit over the top byte. */
	return (uint8_t)(((low ^ (high << 1 | high >> 63)) * 0x9e3779b97f4a7c15ull) >> 56);
}

#endif
