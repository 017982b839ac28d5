/* SPDX-License-Identifier: Apache-2.0 */
/* What a GeoDNS zone is served with, beside its arena. */
#ifndef XDPKIT_GEO_SERVING_H
#define XDPKIT_GEO_SERVING_H

#include "geo/selection.h"
#include "geo/view.h"

/* Owned by a GeoServing (xdpkit/_core/_zones.pyx); immutable once it is published. */
struct geo_serving {
	const struct geo_view *view; /* that of the arena, geo_zone's; NULL: there are no classes */
	const struct geo_selection *selection; /* of the arena */
	const uint8_t *health; /* its statuses as JSON, RDATA of TXT: dns/explain.h */
	uint32_t health_bytes;
};

#endif
