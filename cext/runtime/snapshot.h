/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything an answer depends on besides its request: immutable, built by the control plane,
 * published by one pointer store (runtime/qsbr.h) and freed after the grace period.
 */
#ifndef XDPKIT_SNAPSHOT_H
#define XDPKIT_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <linux/types.h>

#include "admit/prefix_map.h"
#include "dns/settings.h"
#include "admit/ratelimit.h"
#include "base/hash.h"
#include "ntp/keys.h"
#include "runtime/phc.h"
#include "steer.h"

struct capture_set;
struct zone_directory;

/* The NTP server's own state, RFC 5905 section 9.1 (system variables); wire units, host order. */
struct ntp_state {
	uint8_t leap;             /* 0..3, 3 = unsynchronized */
	uint8_t stratum;          /* 1..15; 16 and above are sent as 0 */
	int8_t precision;         /* log2 seconds */
	uint8_t drift_ppm;        /* growth rate of the dispersion */
	uint32_t root_delay;      /* NTP short format, 1/65536 s */
	uint32_t root_dispersion; /* NTP short format, 1/65536 s, at `updated_ns` */
	uint32_t refid;           /* 7f7f0101 for a local clock */
	uint32_t mono_epoch;      /* id of this host's monotonic clock, for the 0xF323 field */
	uint64_t reference;       /* 32.32: last update; 0: its own reference, the latest second */
	int64_t updated_ns;       /* CLOCK_MONOTONIC */
	int64_t expires_ns;       /* CLOCK_MONOTONIC when it becomes unsynchronized; 0: never */
	uint64_t leap_ends_ns;    /* UTC when an announced leap second is over; 0: none */
};

/*
 * The addresses that no frame may come from, ours and our subnets' broadcast addresses, in a table
 * with open addressing: twice STEER_KEYS slots, so that it is never more than half full.
 */
#define SNAPSHOT_RESERVED_BITS  13
#define SNAPSHOT_RESERVED_SLOTS (1 << SNAPSHOT_RESERVED_BITS)
#define SNAPSHOT_RESERVED_MAX   (SNAPSHOT_RESERVED_SLOTS / 2)

struct reserved_source {
	uint8_t address[16]; /* network order; IPv4 in the first 4 bytes, then zeros */
	uint8_t ip_version;  /* 4 or 6 */
};

/* Built when addresses change, and shared by all snapshots until they change again. */
struct reserved_sources {
	uint64_t used[SNAPSHOT_RESERVED_SLOTS / 64]; /* one bit per slot in use */
	struct reserved_source slot[SNAPSHOT_RESERVED_SLOTS];
};

struct snapshot {
	const struct zone_directory *zones; /* NULL when DNS is off; owned by the control plane */
	/* Who may ask (runtime/access.h); NULL: all. Owned by the control plane. */
	const struct prefix_map *dns_access;
	const struct prefix_map *echo_access;
	uint16_t port[SERVICE_COUNT]; /* UDP port of each service, host order; 0 = off */
	bool echo_checks;             /* whether echo has an access list, or spins */
	uint32_t echo_spin_ns;        /* busy-wait per echo, a knob of the benchmarks */
	struct ntp_state ntp;
	const struct ntp_keys *ntp_keys; /* NULL: none; owned by the control plane */
	const struct prefix_map *ntp_access;
	struct ratelimit_rule
		ntp_ratelimit; /* for threads that have a table (runtime/thread_state.h) */
	struct phc_map phc;    /* the NIC's clock, for the stamps of frames */
	struct dns_settings dns;
	/* A copy of reserved->used: most lookups end here, without one more pointer to follow. */
	uint64_t reserved_used[SNAPSHOT_RESERVED_SLOTS / 64];
	const struct reserved_sources *reserved; /* owned by the control plane; NULL: none */
	const struct capture_set *capture;       /* the same */
	bool latency;                            /* answering threads keep histograms of it */
};

static inline uint32_t snapshot_slot(const uint8_t *address, uint8_t ip_version)
{
	uint64_t low = 0, high = 0;

	if (ip_version == 4) {
		memcpy(&low, address, 4);
	} else {
		memcpy(&low, address, 8);
		memcpy(&high, address + 8, 8);
	}
	return (uint32_t)hash_fibonacci(low ^ (high << 1 | high >> 63), SNAPSHOT_RESERVED_BITS);
}

/* For a source whose first slot is in use; out of the way that nearly every packet goes. */
bool reserved_has(const struct snapshot *snap, const uint8_t *address, uint8_t ip_version);

static inline bool snapshot_is_reserved(const struct snapshot *snap, const uint8_t *address,
					uint8_t ip_version)
{
	uint32_t slot = snapshot_slot(address, ip_version);

	if (__builtin_expect(!(snap->reserved_used[slot / 64] >> slot % 64 & 1), 1))
		return false;
	return reserved_has(snap, address, ip_version);
}

/* For the control plane, before it is part of a snapshot; at most SNAPSHOT_RESERVED_MAX times. */
void reserved_add(struct reserved_sources *reserved, const uint8_t *address, uint8_t ip_version);

#endif
