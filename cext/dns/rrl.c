// SPDX-License-Identifier: Apache-2.0
#include "dns/rrl.h"

#include "dns/message.h"
#include "dns/wire.h"

enum verdict dns_rrl_reply(const struct snapshot *snap, struct thread_state *state,
			   struct request *rq, const struct dns_query *q)
{
	struct dns_query bare;

	state->dns.rrl_limited++;
	/* A slip of 0: no answer ever slips. */
	if ((uint64_t)random_next(state) * snap->dns.rrl.slip >> 32 || !snap->dns.rrl.slip)
		return VERDICT_dns_rrl_drop;
	/* The NSID may be longer than everything else. */
	if (q->nsid) {
		bare = *q;
		bare.opt_bytes -= OPTION_HEADER + snap->dns.nsid_length;
		bare.nsid = false;
		q = &bare;
	}
	if (q->has_cookie) {
		state->dns.rrl_badcookie++;
		return dns_badcookie(snap, rq, q);
	}
	state->dns.rrl_slipped++;
	return dns_question_only(snap, rq, q, BITS2_QR | BITS2_TC, RCODE_NOERROR, 0,
				 VERDICT_dns_rrl_slip);
}

/* Whether the answers to a source are counted at all. */
static inline bool is_counted(const struct snapshot *snap, const struct request *rq)
{
	const struct prefix_map *others = snap->dns.rrl_others;

	return !others || prefix_map_value(others, rq->source, rq->ip_version);
}

/* A reply is already written, or there is none. */
static __attribute__((noinline)) enum verdict limit_written(const struct snapshot *snap,
							    struct thread_state *state,
							    struct request *rq, struct dns_query *q,
							    enum verdict verdict)
{
	/* For these two, `q` holds no question. */
	bool sound = verdict != VERDICT_dns_formerr && verdict != VERDICT_dns_notimp;

	if (!verdict_answers(verdict) || (sound && q->cookie_valid) || !is_counted(snap, rq))
		return verdict;
	rrl_locate(state->rrl, rq->source, rq->ip_version, &q->rrl_slots);
	if (dns_rrl_passes(snap, state, rq, q))
		return verdict;
	if (sound)
		return dns_rrl_reply(snap, state, rq, q);
	state->dns.rrl_limited++;
	return VERDICT_dns_rrl_drop;
}

enum verdict dns_rrl_begin(const struct snapshot *snap, struct thread_state *state,
			   struct request *rq, struct dns_query *q, enum verdict verdict)
{
	if (verdict != VERDICT_PENDING)
		return limit_written(snap, state, rq, q, verdict);
	if (!q->cookie_valid && is_counted(snap, rq)) {
		rrl_locate(state->rrl, rq->source, rq->ip_version, &q->rrl_slots);
		q->counted = true;
	}
	return VERDICT_PENDING;
}
