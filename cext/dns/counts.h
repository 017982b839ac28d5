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

#endif
