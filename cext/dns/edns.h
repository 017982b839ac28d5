/* SPDX-License-Identifier: Apache-2.0 */
/* The OPT record (RFC 6891): read from a request, written at the end of a reply. */
#ifndef XDPKIT_DNS_EDNS_H
#define XDPKIT_DNS_EDNS_H

#include "base/bytes.h"
#include "dns/dns.h"
#include "dns/wire.h"

/*
 * The offset that a reply must not exceed, its OPT aside; never before the end of the question:
 * dns/edns.c asserts the most that both can take.
 */
static inline uint32_t dns_size_limit(const struct snapshot *snap, const struct request *rq,
				      const struct dns_query *q)
{
	uint32_t limit = DNS_UDP_MIN, most = snap->dns.max_udp[rq->ip_version == 6];

	if (q->edns_size > limit && most > limit)
		limit = q->edns_size < most ? q->edns_size : most;
	/* The size in the OPT applies to UDP only, RFC 6891 section 6.1.2. */
	if (rq->tcp)
		limit = DNS_TCP_MAX;
	return (limit < rq->room ? limit : rq->room) - q->opt_bytes;
}

/* True if the options fill the RDATA exactly, RFC 6891 section 6.1.2. */
bool dns_options_fit(const uint8_t *rdata, uint32_t length);

/*
 * Reads the options of the OPT, which are known to fit. Returns 0, or -1 at a malformed one: those
 * before it have been read nonetheless.
 */
int dns_options_read(const struct snapshot *snap, struct thread_state *state,
		     const struct request *rq, struct dns_query *q);

/* Makes room in the reply's OPT for the report channel, if it has one and the question is not too
 * long. */
void dns_report_begin(const struct snapshot *snap, struct dns_query *q);

/* Writes the fixed part of the reply's OPT at `p`, for no options. */
static inline void dns_opt_put_fixed(const struct snapshot *snap, const struct request *rq,
				     const struct dns_query *q, uint8_t *p, uint16_t rcode)
{
	uint16_t most = __builtin_bswap16(snap->dns.max_udp[rq->ip_version == 6]);
	/* Root, TYPE, CLASS, the high bits of the RCODE, version 0; then DO and RDLENGTH. */
	uint64_t first = (uint64_t)TYPE_OPT << 16 | (uint64_t)most << 24 |
			 (uint64_t)(rcode >> RCODE_BITS) << 40;
	uint32_t last = __builtin_bswap16(q->edns_flags);

	memcpy(p, &first, sizeof first);
	memcpy(p + OPT_SIZE - sizeof last, &last, sizeof last);
}

/*
 * Writes the reply's OPT at offset `at`: `q->opt_bytes`, and 6 more for an extended error (`ede`
 * is not 0). `rcode` is the full 12-bit one. Returns the offset past it.
 */
uint32_t dns_opt_put(const struct snapshot *snap, struct request *rq, const struct dns_query *q,
		     uint32_t at, uint16_t rcode, uint16_t ede);

#endif
