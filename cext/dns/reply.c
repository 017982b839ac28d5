/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/dns.h"

#include "dns/compose.h"
#include "dns/image.h"
#include "dns/message.h"
#include "dns/wire.h"

void dns_prefetch(const struct snapshot *snap, struct dns_query *q)
{
	zone_prefetch_node(snap->zones, &q->name);
}

/* The name does not exist, or the question has DO. */
static enum verdict reply_at(const struct snapshot *snap, struct request *rq,
			     const struct dns_query *q, const struct zone_node *node)
{
	struct zone_lookup lookup;

	if (!zone_lookup(snap->zones, node, &q->name, q->type, &lookup))
		return dns_question_only(snap, rq, q, BITS2_QR, RCODE_REFUSED,
					 EDE_NOT_AUTHORITATIVE, VERDICT_dns_refused);
	if (q->edns_flags || (lookup.encloser && lookup.encloser->flags & ZONE_NODE_DNAME))
		return dns_compose(snap, rq, q, &lookup);
	return dns_reply_image(snap, rq, q, lookup.image);
}

enum verdict dns_reply(const struct snapshot *snap, struct request *rq, const struct dns_query *q)
{
	const struct zone_node *node = zone_find(snap->zones, &q->name);

	if (!node || q->edns_flags)
		return reply_at(snap, rq, q, node);
	return dns_reply_image_inline(snap, rq, q, zone_image(snap->zones, node, q->type));
}
