// SPDX-License-Identifier: Apache-2.0
#include "service/answer.h"

#include "base/bytes.h"

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

/* A constant row: inlined, this is the row's step and nothing else. */
static inline enum verdict begin(const struct service *service, const struct snapshot *snap,
				 struct thread_state *state, struct request *rq, union query *query,
				 struct tx_record *tx_record)
{
	enum verdict verdict = service->begin(snap, state, rq, query, tx_record);

	/* Nothing could end it: a bug of the service. */
	if (!service->end && verdict == VERDICT_PENDING)
		return VERDICT_bad_frame;
	return verdict;
}

enum verdict answer_begin(const struct snapshot *snap, struct thread_state *state,
			  struct request *rq, union query *query, struct tx_record *tx_record)
{
	if (rq->source_port == 0)
		return VERDICT_source_port;
	if (rq->ip_version == 4 ? source_unanswerable_ipv4(rq) : source_unanswerable_ipv6(rq))
		return VERDICT_source_address;
	switch (rq->service) {
#define BEGIN(name)          \
	case SERVICE_##name: \
		return begin(&service_##name, snap, state, rq, query, tx_record);
		XDPKIT_SERVICES(BEGIN)
	default:
		return VERDICT_bad_frame;
	}
}

bool answer_prefetch(const struct snapshot *snap, const struct request *rq, union query *query)
{
	switch (rq->service) {
#define PREFETCH(name)       \
	case SERVICE_##name: \
		return service_##name.prefetch && service_##name.prefetch(snap, rq, query);
		XDPKIT_SERVICES(PREFETCH)
	default:
		return false;
	}
}

enum verdict answer_end(const struct snapshot *snap, struct thread_state *state, struct request *rq,
			union query *query, struct tx_record *tx_record)
{
	switch (rq->service) {
		/* Without end(), a service is never pending: answer_begin() sees to it. */
#define END(name)                                                                     \
	case SERVICE_##name:                                                          \
		if (service_##name.end)                                               \
			return service_##name.end(snap, state, rq, query, tx_record); \
		break;
		XDPKIT_SERVICES(END)
	}
	__builtin_unreachable();
}

enum verdict answer(const struct snapshot *snap, struct thread_state *state, struct request *rq,
		    struct tx_record *tx_record)
{
	union query query;
	enum verdict verdict = answer_begin(snap, state, rq, &query, tx_record);

	if (verdict != VERDICT_PENDING)
		return verdict;
	while (answer_prefetch(snap, rq, &query))
		;
	return answer_end(snap, state, rq, &query, tx_record);
}
