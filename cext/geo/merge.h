/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several tables of ranges, merged in one pass over them: at each address, the combination of what
 * the tables have there. Not for answering threads: it allocates.
 */
#ifndef XDPKIT_GEO_MERGE_H
#define XDPKIT_GEO_MERGE_H

#include <stdint.h>

#define GEO_TABLES_MAX 8

/* More are not looked at: each is a question to Python. */
#define GEO_COMBINATIONS_MAX (1u << 18)

/*
 * The ranges of an IP version, in ascending order, each from its start to the next one's. IPv6
 * starts are 64 bits, those of IPv4 32. Each has a value, and values that are the same for what is
 * made of them share an id.
 */
struct geo_places {
	const void *start; /* uint32_t or uint64_t [count], the first 0 */
	const uint32_t *value;
	const uint32_t *id; /* uint32_t[values] */
	uint32_t count;     /* at least 1 */
	uint32_t values;
};

/* Ranges of an IP version: neighbors have different combinations. */
struct geo_spans {
	uint64_t *start; /* the first 64 bits of an address: those of IPv4 above 32 zero bits */
	uint32_t *combination;
	uint32_t count, room;
};

/* What the tables have anywhere: of each combination, an id for each table. */
struct geo_combinations {
	uint32_t *id; /* uint32_t[count][tables] */
	uint32_t *slot;
	uint32_t tables, count, room, slots;
};

enum geo_merge_result {
	GEO_MERGED,
	GEO_NO_MEMORY,
	GEO_DAMAGED,  /* starts do not ascend, or a value is none of the table's */
	GEO_TOO_MANY, /* combinations */
};

/*
 * Merges tables of an IP version into `spans`, which is empty. Both versions share `all`, which is
 * empty but for `tables` before the first. The caller frees both, whatever the result.
 */
enum geo_merge_result geo_merge(const struct geo_places *table, uint8_t ip_version,
				struct geo_combinations *all, struct geo_spans *spans);

void geo_spans_free(struct geo_spans *spans);
void geo_combinations_free(struct geo_combinations *all);

#endif
