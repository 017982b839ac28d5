/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Selects the NSEC or NSEC3 records that prove that a name or a type does not exist (RFC 4035
 * section 3.1.3, RFC 5155 section 7.2), in presigned zones.
 *
 * Work is bounded: one search of the sorted chain, and for NSEC3 one hash of one name, whose
 * iterations the zone compiler limits.
 */
#ifndef XDPKIT_ZONE_DENIAL_H
#define XDPKIT_ZONE_DENIAL_H

#include <stdbool.h>

#include "zone/zone.h"

/*
 * NXDOMAIN or wildcard NODATA takes three, and a wildcard that opt-out omitted one more; before
 * that, each alias that a wildcard made takes one, of at most 16 (dns/compose.h).
 */
#define ZONE_PROOF_MAX (16 + 4)

/* The parts of an answer, each once, in the order of their use. Initialize `count` and `size`. */
struct zone_proof {
	const struct zone_part *part[ZONE_PROOF_MAX];
	uint32_t count;
	uint32_t size; /* bytes in the message, with compressed owner names */
};

/* The node does not have the type. Its zone must be signed, here and below. */
void zone_prove_nodata(const struct zone_arena *arena, const struct zone_node *node,
		       struct zone_proof *proof);

/* The name does not exist; `encloser` is its closest encloser. */
void zone_prove_missing(const struct zone_arena *arena, const struct zone_node *encloser,
			const struct zone_name *name, struct zone_proof *proof);

/*
 * The name does not exist, so the wildcard under `encloser` applies; with `nodata`, it does not
 * have the type either.
 */
void zone_prove_wildcard(const struct zone_arena *arena, const struct zone_node *encloser,
			 const struct zone_name *name, bool nodata, struct zone_proof *proof);

#endif
