/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that depend on who asks, and on chance: of a GeoDNS zone's choice (geo/choice.h), the
 * class of the client, what its selection has for that, and records that are drawn.
 *
 * The client is the subnet that a resolver sent (RFC 7871), if that is an address of the Internet
 * of which anything is known, else who has sent the request. The scope of the reply is the widest
 * prefix of that subnet for which all choices, those of aliases among them, are the same; 0 where
 * they are the same for all.
 */
#ifndef XDPKIT_DNS_CHOICE_H
#define XDPKIT_DNS_CHOICE_H

#include "dns/dns.h"
#include "geo/view.h"

/* Who an answer is for: `found` is of its address, which is the request's or the query's. */
struct dns_client {
	const uint8_t *address;
	uint8_t ip_version;
	struct geo_found found;
};

/* The client that counts; where that is a subnet, the scope of the reply is set. */
struct dns_client dns_client_of(const struct geo_view *view, const struct request *rq,
				struct dns_query *q);

/* A step of the look-up for the client: what it reads is prefetched. False when that is all. */
bool dns_prefetch_client(const struct geo_view *view, const struct request *rq,
			 struct dns_query *q);

/* Where drawn records are written. */
struct dns_draw {
	uint8_t *to;
	uint32_t room;  /* bytes */
	uint32_t owner; /* offset of their name in the message */
	/* The result: */
	uint32_t bytes, count; /* 0 bytes: they do not fit */
};

/*
 * Decides a lookup that has a choice. False: `lookup->image` is the answer. True: records are, and
 * `*table` is what dns_draw_records() takes.
 */
bool dns_choose(struct thread_state *state, const struct request *rq, struct dns_query *q,
		struct zone_lookup *lookup, uint32_t *table);

/* Draws the records of an answer. */
void dns_draw_records(struct thread_state *state, const struct zone_lookup *lookup, uint32_t table,
		      struct dns_draw *draw);

/*
 * Decides a lookup that has a choice, and replies with the records that are drawn. VERDICT_PENDING:
 * `lookup->image` is the answer, and nothing was written.
 */
enum verdict dns_reply_choice(const struct snapshot *snap, struct thread_state *state,
			      struct request *rq, struct dns_query *q, struct zone_lookup *lookup);

/* Whether an image that was chosen is that of a CNAME, from which a question may be led on. */
bool dns_chose_alias(const struct zone_lookup *lookup);

#endif
