/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies that no single image holds, composed in place: where an alias leads, through all zones,
 * and the names below a DNAME, synthesized from the question (RFC 6672); with DO the proofs of
 * nonexistence, which depend on the question, too.
 */
#ifndef XDPKIT_DNS_COMPOSE_H
#define XDPKIT_DNS_COMPOSE_H

#include "dns/dns.h"

/* The most aliases followed. A longer chain is a mistake; resolvers give up earlier, NSD at 18. */
#define DNS_ALIASES_MAX 16

/*
 * No name is looked up from this offset on. The pointers of an image stay below it too
 * (compile/names.h), so that after an alias chain they still fit 14 bits.
 */
#define DNS_ALIASES_END 0x2000

/* The reply for what a lookup led to. */
enum verdict dns_compose(const struct snapshot *snap, struct thread_state *state,
			 struct request *rq, struct dns_query *q, struct zone_lookup *lookup);

#endif
