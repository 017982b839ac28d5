/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Response rate limiting (admit/rrl.h) of DNS: whose answers are counted, and what is sent instead
 * of an answer over the limit.
 *
 * Counted are answers over UDP to a source that might be spoofed, which is one without a server
 * cookie of ours, and that the operator has not exempted. Of those over the limit, one in `slip`
 * becomes a small answer, about as long as its request, so that a legitimate client still gets
 * through: BADCOOKIE, with the cookie to retry with, if it sent a client cookie (RFC 7873 section
 * 5.2.3), else TC, to retry over TCP. The others get nothing, and neither do malformed requests.
 */
#ifndef XDPKIT_DNS_RRL_H
#define XDPKIT_DNS_RRL_H

#include "dns/dns.h"
#include "runtime/thread_state.h"
#include "admit/rrl.h"
#include "runtime/snapshot.h"
#include "runtime/stats.h"

/* Whether this request's answer may have to be counted. */
static inline bool dns_rrl_on(const struct snapshot *snap, const struct thread_state *state,
			      const struct request *rq)
{
	return snap->dns.rrl.rate && state->rrl && !rq->tcp;
}

/*
 * Applies the limit to the verdict of dns_read(): sets `q->counted` for a question that is yet to
 * be looked up, and prefetches its counters; decides at once about a reply that is already written.
 */
enum verdict dns_rrl_begin(const struct snapshot *snap, struct thread_state *state,
			   struct request *rq, struct dns_query *q, enum verdict verdict);

/* Whether a question with `q->counted` may be answered; counts the answer. */
static inline bool dns_rrl_passes(const struct snapshot *snap, struct thread_state *state,
				  const struct request *rq, const struct dns_query *q)
{
	return rrl_pass(&snap->dns.rrl, &q->rrl_slots, rq->ip_version, state->mono_ns);
}

/* What is sent instead of an answer over the limit. */
enum verdict dns_rrl_reply(const struct snapshot *snap, struct thread_state *state,
			   struct request *rq, const struct dns_query *q);

#endif
