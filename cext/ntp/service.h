/* SPDX-License-Identifier: Apache-2.0 */
/* NTP's steps as a service: service/service.h. */
#ifndef XDPKIT_NTP_SERVICE_H
#define XDPKIT_NTP_SERVICE_H

#include "ntp/ntp.h"

/* Answers at once unless the reply needs a table lookup, which may miss the cache. */
static inline enum verdict ntp_begin(const struct snapshot *snap, struct thread_state *state,
				     struct request *rq, void *memory, struct tx_record *tx_record)
{
	struct ntp_query *query = memory;
	enum verdict verdict;

	if (ntp_is_plain(state, rq))
		return ntp_reply_plain(state, rq, tx_record);
	verdict = ntp_read(snap, state, rq, query);
	if (verdict != VERDICT_PENDING || query->pending)
		return verdict;
	return ntp_reply(snap, state, rq, query, tx_record);
}

static inline enum verdict ntp_end(const struct snapshot *snap, struct thread_state *state,
				   struct request *rq, void *query, struct tx_record *tx_record)
{
	return ntp_reply(snap, state, rq, query, tx_record);
}

#endif
