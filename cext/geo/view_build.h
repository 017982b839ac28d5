/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a view (geo/view.h) of merged ranges. Not for answering threads. */
#ifndef XDPKIT_GEO_VIEW_BUILD_H
#define XDPKIT_GEO_VIEW_BUILD_H

#include <stdint.h>

#include "geo/merge.h"
#include "geo/view.h"

struct geo_view_source {
	/* After geo_classify(): their combinations are classes, or GEO_EXACT. */
	const struct geo_spans *ipv4, *ipv6;
	const unsigned __int128 *exact_start; /* ascending */
	const uint16_t *exact_class;
	uint32_t exact, classes;
	const void *text; /* what classes are in words, as the view has it; `texts` bytes, or 0 */
	uint64_t texts;
};

/* Replaces combinations by their classes; neighbors of the same class become one. */
void geo_classify(struct geo_spans *spans, const uint16_t *class_of);

/* Bytes of the view; 0: it has more entries than a view can have. */
uint64_t geo_view_size(const struct geo_view_source *source);

/* Writes it to `to`, which has that many bytes and is aligned to 16; its id is zeros. */
void geo_view_build(const struct geo_view_source *source, void *to);

#endif
