/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request in, one reply out, in place. Every way in (the ring, the UDP and the TCP listener,
 * the bytes call) fills a struct request and calls answer() or its steps; nothing else decides a
 * reply, so that equal arguments give equal payloads whichever way the request came in.
 */
#ifndef XDPKIT_ANSWER_H
#define XDPKIT_ANSWER_H

#include "runtime/thread_state.h"
#include "service/request.h"
#include "service/table.h"

/*
 * Answers `rq` from `snap`. An ANSWER verdict means that the reply is in place and `rq->length` is
 * its length, a DROP verdict that there is none. A reply of SERVICE_ntp is complete only once
 * tx_stamp_batch() has filled it in from `tx_record`, which the caller does as late as it can.
 */
enum verdict answer(const struct snapshot *snap, struct thread_state *state, struct request *rq,
		    struct tx_record *tx_record);

/*
 * The same in steps, for a caller with a batch of requests: begin each one, prefetch for those that
 * are pending until that returns false for all, end them. answer_begin() returns VERDICT_PENDING
 * for a pending request, else what answer() would return.
 */
enum verdict answer_begin(const struct snapshot *snap, struct thread_state *state,
			  struct request *rq, union query *query, struct tx_record *tx_record);
bool answer_prefetch(const struct snapshot *snap, const struct request *rq, union query *query);
enum verdict answer_end(const struct snapshot *snap, struct thread_state *state, struct request *rq,
			union query *query, struct tx_record *tx_record);

#endif
