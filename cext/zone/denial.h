/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which NSEC or NSEC3 records prove that a name or a type does not exist (RFC 4035 section 3.1.3,
 * RFC 5155 section 7.2), in zones that were signed elsewhere.
 *
 * Work is bounded: one search of the sorted chain, and for NSEC3 one hash of one name, whose
 * iterations the zone compiler limits.
 */
#ifndef XDPKIT_ZONE_DENIAL_H
#define XDPKIT_ZONE_DENIAL_H

#include <stdbool.h>

#include "zone/zone.h"

/* An NXDOMAIN or a wildcard's NODATA take three, and a wildcard that opt-out left out one more. */
#define ZONE_PROOF_MAX 4

/* The parts of an answer, each once. Begin with all zeros. */
struct zone_proof {
	const struct zone_part *part[ZONE_PROOF_MAX];
	uint32_t count;
	uint32_t size; /* bytes in the message, owners as pointers */
};

/* The node has not the type. Its zone must be signed, here and below. */
void zone_prove_nodata(const struct zone_arena *arena, const struct zone_node *node,
		       struct zone_proof *proof);

/* The name does not exist; `encloser` is its closest encloser. */
void zone_prove_missing(const struct zone_arena *arena, const struct zone_node *encloser,
			const struct zone_name *name, struct zone_proof *proof);

/*
 * The name does not exist, so that the wildcard under `encloser` stands in for it; `nodata`: and
 * that one has not the type. Parts that `secure` holds already are left out.
 */
void zone_prove_wildcard(const struct zone_arena *arena, const struct zone_node *encloser,
			 const struct zone_name *name, bool nodata, const struct zone_image *secure,
			 struct zone_proof *proof);

#endif
