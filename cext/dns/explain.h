/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that explain a zone with choices, as GeoDNS has them; only where the zone has no such name:
 * a wildcard does not stand for them. The first label decides, the type is TXT or ANY:
 *
 *   _country  who asks as we see it, its targets, and how much of its address decided
 *   _status   the server: JSON
 *   _health   the zone's statuses: JSON
 *
 * The last two are for clients on this host, unless `public_debug` is set. Nothing but
 * addresses and numbers is put into words here: the rest was, when the settings, a view or a
 * selection was made.
 */
#ifndef XDPKIT_DNS_EXPLAIN_H
#define XDPKIT_DNS_EXPLAIN_H

#include "dns/dns.h"

/* Whether a name that was looked up may be one; most that are not are told apart here. */
static inline bool dns_may_explain(const struct dns_query *q, const struct zone_lookup *lookup)
{
	return lookup->geo && ((const uint8_t *)q->name.word)[1] == '_' && lookup->encloser &&
	       !(lookup->encloser->flags & (ZONE_NODE_CUT | ZONE_NODE_DNAME));
}

/* The reply for such a name; VERDICT_PENDING if it does not exist after all. */
enum verdict dns_explain(const struct snapshot *snap, const struct thread_state *state,
			 struct request *rq, struct dns_query *q, const struct zone_lookup *lookup);

#endif
