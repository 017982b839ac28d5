/* SPDX-License-Identifier: Apache-2.0 */
/* Counts a query that was read, and a reply, in the thread's struct dns_traffic (dns/counts.h). */
#ifndef XDPKIT_DNS_TRAFFIC_H
#define XDPKIT_DNS_TRAFFIC_H

#include "dns/counts.h"
#include "dns/dns.h"

/* The slot of a number; the last one is for all that are too large. */
static inline uint32_t dns_slot(uint32_t number, uint32_t slots)
{
	return number < slots ? number : slots - 1;
}

/* Before the reply is written over the request. */
static inline void dns_count_query(struct dns_traffic *traffic, const struct request *rq,
				   const struct dns_query *q)
{
	/* Sums of DNS_KIND_*, without a branch: 6 has the bit that 4 lacks, and DO is the highest.
	 */
	uint32_t kind = (rq->ip_version >> 1 & DNS_KIND_IPV6) | (uint32_t)q->edns << 1 |
			(uint32_t)q->edns_flags >> 13;

	traffic->kind[kind]++;
	traffic->type[dns_slot(q->type, DNS_TYPE_SLOTS)]++;
	traffic->query_size[dns_slot(rq->length >> DNS_SIZE_SHIFT, DNS_QUERY_SIZES)]++;
	traffic->query_bytes += rq->length;
}

/* The zone that a question was found in. */
static inline void dns_count_zone(const struct snapshot *snap, struct dns_traffic *traffic,
				  const struct zone_arena *arena)
{
	if (snap->dns.statistics && snap->zones->counted)
		traffic->zone[arena->slot & (DNS_ZONE_SLOTS - 1)]++;
}

static inline void dns_count_reply(struct dns_traffic *traffic, const struct request *rq)
{
	traffic->reply_size[dns_slot(rq->length >> DNS_SIZE_SHIFT, DNS_REPLY_SIZES)]++;
	traffic->reply_bytes += rq->length;
}

#endif
