/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Draws by weight, without replacement, from a selection's tables: each record that is left is
 * drawn with its share of their weights, exactly. Those without a weight come after all others,
 * each as likely as the others.
 *
 * What was drawn before is drawn again and left out, a few times; where this takes longer, because
 * a record has almost all the weight or few are left, what is left is drawn from alone. Both have
 * the same law. The time depends on what is drawn, not on how many there are.
 */
#ifndef XDPKIT_GEO_DRAW_H
#define XDPKIT_GEO_DRAW_H

#include <stdint.h>

#include "geo/generator.h"
#include "geo/selection.h"

/* What an answer is made from. */
enum geo_picked {
	GEO_PICKED_NOTHING, /* the choice's fallback */
	GEO_PICKED_RECORDS, /* `at`: for geo_put_records() */
	GEO_PICKED_IMAGE,   /* `at`: offset of a struct zone_image */
};

struct geo_pick {
	enum geo_picked picked;
	uint32_t at;
};

/* Goes from an entry (geo_entry_of()) to what is answered: at most GEO_DEPTH_MAX draws. */
struct geo_pick geo_pick(const struct geo_selection *selection, uint32_t entry,
			 struct geo_generator *generator);

/*
 * Writes the records that are drawn, with a pointer to `owner`, an offset in the message, as their
 * owner; returns their bytes, and their number in `*count`. 0 if they do not fit `room`: an RRset
 * is not cut (RFC 2181 section 9), so the reply has TC and no records.
 */
uint32_t geo_put_records(const struct geo_selection *selection, uint32_t at,
			 struct geo_generator *generator, uint32_t owner, uint8_t *to,
			 uint32_t room, uint32_t *count);

#endif
