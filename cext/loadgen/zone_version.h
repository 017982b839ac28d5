/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which version of a zone a DNS reply was made from, given that each version has its own TTL on all
 * its records: a reply with two TTLs mixes two versions.
 */
#ifndef XDPKIT_LOADGEN_ZONE_VERSION_H
#define XDPKIT_LOADGEN_ZONE_VERSION_H

#include "loadgen/loadgen.h"
#include "dns/wire.h"

/* The offset after a name; a compression pointer ends it. >= `length` if the name is cut off. */
static inline uint32_t loadgen_name_end(const uint8_t *p, uint32_t length, uint32_t at)
{
	while (at < length && p[at] && p[at] < 0xc0)
		at += p[at] + 1u;
	return at < length ? at + (p[at] ? 2 : 1) : length;
}

/* The common TTL of all records from `at` except OPT; 0 if they differ or any is malformed. */
static inline uint32_t loadgen_version_of(const uint8_t *p, uint32_t length, uint32_t at)
{
	uint32_t count = load_be16(p + 6) + load_be16(p + 8) + load_be16(p + 10), version = 0;

	while (count--) {
		uint32_t ttl;

		at = loadgen_name_end(p, length, at);
		if (at + RR_FIXED > length)
			return 0;
		ttl = load_be32(p + at + 4);
		if (load_be16(p + at) != TYPE_OPT) {
			if (version && ttl != version)
				return 0;
			version = ttl;
		}
		at += RR_FIXED + load_be16(p + at + 8);
	}
	return at == length ? version : 0;
}

/* Whether a reply is from one version; counts a change from the previous reply's. */
static inline bool loadgen_version_check(struct loadgen *loadgen, const uint8_t *p, uint32_t length,
					 uint32_t at)
{
	uint32_t version = loadgen_version_of(p, length, at);

	loadgen->versions += version && loadgen->version && version != loadgen->version;
	loadgen->version = version ? version : loadgen->version;
	return version;
}

#endif
