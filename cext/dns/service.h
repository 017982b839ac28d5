/* SPDX-License-Identifier: Apache-2.0 */
/* DNS's steps as a service (service/service.h), with the rate limit around them. */
#ifndef XDPKIT_DNS_SERVICE_H
#define XDPKIT_DNS_SERVICE_H

#include "dns/dns.h"
#include "dns/rrl.h"
#include "dns/traffic.h"
#include "runtime/access.h"
#include "runtime/stats.h"
#include "runtime/thread_state.h"

/* The verdict, with the reply counted if there is one. */
static inline enum verdict dns_answered(const struct snapshot *snap, struct thread_state *state,
					const struct request *rq, enum verdict verdict)
{
	if (snap->dns.statistics && verdict_answers(verdict))
		dns_count_reply(&state->traffic, rq);
	return verdict;
}

static inline enum verdict dns_begin(const struct snapshot *snap, struct thread_state *state,
				     struct request *rq, void *memory, struct tx_record *tx_record)
{
	struct dns_query *query = memory;
	enum verdict verdict;

	(void)tx_record;
	if (!snap->zones)
		return VERDICT_dns_no_zones;
	if (__builtin_expect(snap->dns_access != NULL, 0)) {
		verdict = access_check(snap->dns_access, rq->source, rq->ip_version,
				       VERDICT_dns_denied);
		if (verdict != VERDICT_PENDING)
			return verdict;
	}
	query->counted = false;
	verdict = dns_read(snap, state, rq, query);
	if (dns_rrl_on(snap, state, rq))
		verdict = dns_rrl_begin(snap, state, rq, query, verdict);
	return verdict == VERDICT_PENDING ? verdict : dns_answered(snap, state, rq, verdict);
}

static inline bool dns_prefetch_step(const struct snapshot *snap, const struct request *rq,
				     void *query)
{
	return dns_prefetch(snap, rq, query);
}

static inline enum verdict dns_end(const struct snapshot *snap, struct thread_state *state,
				   struct request *rq, void *memory, struct tx_record *tx_record)
{
	struct dns_query *query = memory;

	(void)tx_record;
	if (query->counted && !dns_rrl_passes(snap, state, rq, query))
		return dns_answered(snap, state, rq, dns_rrl_reply(snap, state, rq, query));
	return dns_answered(snap, state, rq, dns_reply(snap, state, rq, query));
}

#endif
