/* SPDX-License-Identifier: Apache-2.0 */
/* The echo service, RFC 862: sends a request back as it came. */
#ifndef XDPKIT_ECHO_H
#define XDPKIT_ECHO_H

#include <time.h>

#include "runtime/access.h"
#include "runtime/snapshot.h"
#include "service/request.h"

struct thread_state;
struct tx_record;

/* Busy-waits for `ns`: the benchmarks' knob for work between receive and send. */
static inline void echo_spin(uint32_t ns)
{
	struct timespec now;
	uint64_t end = 0;

	if (!ns)
		return;
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (!end)
			end = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + ns;
	} while ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec < end);
}

/* Never answers one of our own ports: two echo servers would loop forever. */
static inline enum verdict echo_begin(const struct snapshot *snap, struct thread_state *state,
				      struct request *rq, void *query, struct tx_record *tx_record)
{
	(void)state, (void)query, (void)tx_record;
	for (int service = 1; service < SERVICE_COUNT; service++)
		if (snap->port[service] == rq->source_port)
			return VERDICT_echo_loop;
	rq->reply_sum = REPLY_SUM_SAME;
	if (__builtin_expect(snap->echo_checks, 0)) {
		/* It has no list of its own: all that can be wrong with a source is the route. */
		if (snap->echo_access && access_check(snap->echo_access, rq->source, rq->ip_version,
						      VERDICT_no_route) != VERDICT_PENDING)
			return VERDICT_no_route;
		echo_spin(snap->echo_spin_ns);
	}
	return VERDICT_echo_answered;
}

#endif
