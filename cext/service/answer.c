// SPDX-License-Identifier: Apache-2.0
#include "service/answer.h"

#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "dns/rrl.h"
#include "runtime/snapshot.h"

/* No datagram may go to "this network", a group or broadcast address: RFC 1122 section 3.2.1.3. */
static bool source_unanswerable_ipv4(const struct request *rq)
{
	return rq->source[0] == 0 || rq->source[0] >= 224;
}

/* The same for IPv6: unspecified, loopback, IPv4-mapped (RFC 4291 section 2.5) and multicast. */
static bool source_unanswerable_ipv6(const struct request *rq)
{
	uint64_t high = load_be64(rq->source);
	uint32_t third = load_be32(rq->source + 8);

	return rq->source[0] == 0xff || (high == 0 && (third == 0 || third == 0xffff));
}

/* ---------------------------------------------------------------------------------------------- */

/* Busy-waits for `ns`: the benchmarks' knob for work between receive and send. */
static void spin(uint32_t ns)
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

/* RFC 862, but never to one of our own ports: two echo servers would loop forever. */
static enum verdict echo_answer(const struct snapshot *snap, const struct request *rq)
{
	for (int service = 1; service < SERVICE_COUNT; service++)
		if (snap->port[service] == rq->source_port)
			return VERDICT_echo_loop;
	spin(snap->echo_spin_ns);
	return VERDICT_echo_answered;
}

/* ---------------------------------------------------------------------------------------------- */

/* NTP: answered at once unless it needs a table lookup, which may miss the cache. */
static enum verdict ntp_begin(const struct snapshot *snap, struct thread_state *state,
			      struct request *rq, struct ntp_query *query,
			      struct tx_record *tx_record)
{
	enum verdict verdict = ntp_read(snap, state, rq, query);

	if (verdict != VERDICT_PENDING || query->pending)
		return verdict;
	return ntp_reply(snap, state, rq, query, tx_record);
}

static inline enum verdict dns_begin(const struct snapshot *snap, struct thread_state *state,
				     struct request *rq, struct dns_query *query)
{
	enum verdict verdict;

	if (!snap->zones)
		return VERDICT_bad_frame;
	query->counted = false;
	verdict = dns_read(snap, state, rq, query);
	if (dns_rrl_on(snap, state, rq))
		verdict = dns_rrl_begin(snap, state, rq, query, verdict);
	return verdict;
}

static inline enum verdict dns_end(const struct snapshot *snap, struct thread_state *state,
				   struct request *rq, const struct dns_query *query)
{
	if (query->counted && !dns_rrl_passes(snap, state, rq, query))
		return dns_rrl_reply(snap, state, rq, query);
	return dns_reply(snap, rq, query);
}

enum verdict answer_begin(const struct snapshot *snap, struct thread_state *state,
			  struct request *rq, union query *query, struct tx_record *tx_record)
{
	if (rq->source_port == 0)
		return VERDICT_source_port;
	if (rq->ip_version == 4 ? source_unanswerable_ipv4(rq) : source_unanswerable_ipv6(rq))
		return VERDICT_source_address;
	switch (rq->service) {
	case SERVICE_ntp:
		return ntp_begin(snap, state, rq, &query->ntp, tx_record);
	case SERVICE_dns:
		return dns_begin(snap, state, rq, &query->dns);
	case SERVICE_echo:
		return echo_answer(snap, rq);
	default:
		return VERDICT_bad_frame;
	}
}

void answer_prefetch(const struct snapshot *snap, const struct request *rq, union query *query)
{
	if (rq->service == SERVICE_dns)
		dns_prefetch(snap, &query->dns);
}

enum verdict answer_end(const struct snapshot *snap, struct thread_state *state, struct request *rq,
			const union query *query, struct tx_record *tx_record)
{
	if (rq->service == SERVICE_dns)
		return dns_end(snap, state, rq, &query->dns);
	return ntp_reply(snap, state, rq, &query->ntp, tx_record);
}

enum verdict answer(const struct snapshot *snap, struct thread_state *state, struct request *rq,
		    struct tx_record *tx_record)
{
	union query query;
	enum verdict verdict = answer_begin(snap, state, rq, &query, tx_record);

	if (verdict != VERDICT_PENDING)
		return verdict;
	return answer_end(snap, state, rq, &query, tx_record);
}
