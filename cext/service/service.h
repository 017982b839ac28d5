/* SPDX-License-Identifier: Apache-2.0 */
/* What a service is to the dispatch in answer.c: the steps that answer a request to it. */
#ifndef XDPKIT_SERVICE_STEPS_H
#define XDPKIT_SERVICE_STEPS_H

#include <stdbool.h>

#include "service/request.h"

struct snapshot;
struct thread_state;
struct tx_record;

/*
 * A row of service/table.h. `query` is the service's own member of union query, unwritten before
 * begin(): what it leaves there for the steps after it.
 *
 * begin() answers the request, or returns VERDICT_PENDING if that needs memory which may miss the
 * cache: end() then answers it, after prefetch() has returned false. In a batch, every pending
 * request has its turn before the next prefetch(). A service that is never pending has only
 * begin(); prefetch() is optional.
 */
struct service {
	enum verdict (*begin)(const struct snapshot *snap, struct thread_state *state,
			      struct request *rq, void *query, struct tx_record *tx_record);
	bool (*prefetch)(const struct snapshot *snap, const struct request *rq, void *query);
	enum verdict (*end)(const struct snapshot *snap, struct thread_state *state,
			    struct request *rq, void *query, struct tx_record *tx_record);
};

#endif
