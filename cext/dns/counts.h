/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DNS counters of one thread besides the verdicts (runtime/stats.h): written only by that
 * thread, with plain stores, read by the control plane at any time, never reset. Queries without a
 * cookie are not counted.
 */
#ifndef XDPKIT_DNS_COUNTS_H
#define XDPKIT_DNS_COUNTS_H

#include <stdint.h>

struct dns_counts {
	uint64_t cookie_valid;     /* with a server cookie of ours that has not expired */
	uint64_t cookie_client;    /* with a client cookie only */
	uint64_t cookie_bad;       /* with any other server cookie */
	uint64_t cookie_malformed; /* with a length that no cookie has */
	uint64_t rrl_limited;      /* answers over the rate limit */
	uint64_t rrl_slipped;      /* of those: sent as TC */
	uint64_t rrl_badcookie;    /* of those: sent as BADCOOKIE */
};

/*
 * What was asked and answered, with [dns] statistics: the counts of Knot DNS's mod-stats. A query
 * is counted here once its question, or that it has none, has been read; what is malformed has a
 * verdict alone.
 */

/* Query types below this have a count each; the last one is that of all others. */
#define DNS_TYPE_SLOTS 261

/* Sizes are counted by 16 bytes, larger ones in the last slot: up to 288, and up to 4096. */
#define DNS_SIZE_SHIFT  4
#define DNS_QUERY_SIZES 19
#define DNS_REPLY_SIZES 257

/* A query's kind is a sum of these. */
#define DNS_KIND_IPV6 1
#define DNS_KIND_EDNS 2
#define DNS_KIND_DO   4
#define DNS_KINDS     8

/* Zones have a slot for good, by their name; at 0 are those for which there was none left. */
#define DNS_ZONE_SLOTS 128

struct dns_traffic {
	uint64_t kind[DNS_KINDS];
	uint64_t query_bytes;
	uint64_t reply_bytes;
	uint64_t zone[DNS_ZONE_SLOTS]; /* queries that a zone answered, by struct zone_arena's slot
					*/
	uint64_t query_size[DNS_QUERY_SIZES];
	uint64_t type[DNS_TYPE_SLOTS];
	uint64_t reply_size[DNS_REPLY_SIZES];
};

#endif
