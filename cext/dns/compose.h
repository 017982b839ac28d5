/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies that no single image holds, composed in place: for names below a DNAME, where the target
 * name is synthesized from the question (RFC 6672), and with DO the proofs of nonexistence, which
 * depend on the question too.
 */
#ifndef XDPKIT_DNS_COMPOSE_H
#define XDPKIT_DNS_COMPOSE_H

#include "dns/dns.h"

/*
 * The most aliases followed, here (DNAMEs) and by the compiler. A longer chain is a mistake, and
 * resolvers give up earlier (NSD stops at 18).
 */
#define DNS_ALIASES_MAX 16

/*
 * No name is looked up from this offset on. The pointers of an image stay below it too (body.py's
 * POINTER_END), so that after an alias chain they still fit 14 bits.
 */
#define DNS_ALIASES_END 0x2000

/* The reply for a name below a DNAME, or to a question with DO. */
enum verdict dns_compose(const struct snapshot *snap, struct request *rq, const struct dns_query *q,
			 struct zone_lookup *lookup);

#endif
