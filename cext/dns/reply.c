/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/dns.h"

#include "dns/choice.h"
#include "dns/compose.h"
#include "dns/explain.h"
#include "dns/image.h"
#include "dns/message.h"
#include "dns/traffic.h"
#include "dns/wire.h"
#include "geo/serving.h"
#include "runtime/thread_state.h"

bool dns_prefetch(const struct snapshot *snap, const struct request *rq, struct dns_query *q)
{
	const struct geo_serving *geo;

	/* Meanwhile the node comes. */
	if (!q->bucket && zone_search_step(&q->search, snap->zones, &q->name))
		return true;
	geo = q->search.geo;
	return geo && geo->view && dns_prefetch_client(geo->view, rq, q);
}

/* The name is in no zone, or its zone could not be loaded. */
static enum verdict reply_without_zone(const struct snapshot *snap, struct request *rq,
				       const struct dns_query *q, enum zone_located located)
{
	if (located == ZONE_ELSEWHERE)
		return dns_question_only(snap, rq, q, BITS2_QR, RCODE_REFUSED,
					 EDE_NOT_AUTHORITATIVE, VERDICT_dns_refused);
	return dns_question_only(snap, rq, q, BITS2_QR, RCODE_SERVFAIL, EDE_INVALID_DATA,
				 VERDICT_dns_servfail);
}

static inline enum verdict reply_found(const struct snapshot *snap, struct thread_state *state,
				       struct request *rq, struct dns_query *q,
				       struct zone_lookup *lookup)
{
	enum verdict verdict;

	if (__builtin_expect(dns_may_explain(q, lookup), 0)) {
		verdict = dns_explain(snap, state, rq, q, lookup);
		if (verdict != VERDICT_PENDING)
			return verdict;
	}
	return dns_compose(snap, state, rq, q, lookup);
}

/* Searches for the name from the start, without what was prefetched. */
static enum verdict reply_searched(const struct snapshot *snap, struct thread_state *state,
				   struct request *rq, struct dns_query *q)
{
	struct zone_name name = q->name;
	struct zone_lookup lookup;
	enum zone_located located;

	located = zone_directory_lookup(snap->zones, &name, q->type, &lookup);
	if (located != ZONE_LOCATED)
		return reply_without_zone(snap, rq, q, located);
	dns_count_zone(snap, &state->traffic, lookup.arena);
	return reply_found(snap, state, rq, q, &lookup);
}

/* The name does not exist, is an alias or has choices, or the question has DO. */
static enum verdict reply_composed(const struct snapshot *snap, struct thread_state *state,
				   struct request *rq, struct dns_query *q,
				   const struct zone_arena *arena, const struct zone_node *node,
				   const struct zone_served *zone)
{
	struct zone_lookup lookup;

	lookup.geo = zone ? zone->geo : zone_directory_geo(snap->zones, arena);
	if (!zone_lookup(arena, node, &q->name, q->type, &lookup))
		return reply_without_zone(snap, rq, q, ZONE_ELSEWHERE);
	dns_count_zone(snap, &state->traffic, arena);
	return reply_found(snap, state, rq, q, &lookup);
}

/* `zone` is NULL where the index had the node. */
static inline enum verdict reply_at(const struct snapshot *snap, struct thread_state *state,
				    struct request *rq, struct dns_query *q,
				    const struct zone_arena *arena, const struct zone_node *node,
				    const struct zone_served *zone)
{
	if (!node || node->flags & (ZONE_NODE_ALIAS | ZONE_NODE_GEO) || q->edns_flags)
		return reply_composed(snap, state, rq, q, arena, node, zone);
	dns_count_zone(snap, &state->traffic, arena);
	return dns_reply_image_inline(snap, rq, q, zone_image(arena, node, q->type));
}

/* DS at the name of a zone is the parent's, if that is served, too. */
static inline enum verdict reply_in_zone(const struct snapshot *snap, struct thread_state *state,
					 struct request *rq, struct dns_query *q,
					 const struct zone_served *zone)
{
	if (!zone)
		return reply_without_zone(snap, rq, q, ZONE_ELSEWHERE);
	if (q->type == TYPE_DS && zone->length == q->name.length)
		return reply_searched(snap, state, rq, q);
	if (!zone->arena)
		return reply_without_zone(snap, rq, q, ZONE_NOT_LOADED);
	return reply_at(snap, state, rq, q, zone->arena, zone_find(zone->arena, &q->name), zone);
}

enum verdict dns_reply(const struct snapshot *snap, struct thread_state *state, struct request *rq,
		       struct dns_query *q)
{
	const struct zone_node *node = q->search.node;

	if (!node)
		return reply_in_zone(snap, state, rq, q, q->search.zone);
	if (!zone_has_name(node, (const uint8_t *)q->name.word, q->name.length) ||
	    (q->type == TYPE_DS && node->flags & ZONE_NODE_APEX))
		return reply_searched(snap, state, rq, q);
	return reply_at(snap, state, rq, q, zone_of(node), node, NULL);
}
