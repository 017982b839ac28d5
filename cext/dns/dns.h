/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS: the check of a request and the reply in its place. What to say was decided when the
 * zones were compiled (zone/zone.h); here a question is read, its image found and copied behind it.
 *
 * Malformed messages get FORMERR (RFC 1035 section 4.1.1, RFC 6891 section 7, RFC 8906 section 8);
 * what has no whole header, or is itself a response, gets nothing. Work is bounded for any message:
 * one pass over it, three hashes of a cookie, and a probe of the table for each label of a name, at
 * most 127, of at most 17 names where DNAMEs are followed.
 */
#ifndef XDPKIT_DNS_H
#define XDPKIT_DNS_H

#include "service/request.h"
#include "admit/rrl.h"
#include "runtime/snapshot.h"
#include "zone/zone.h"

struct thread_state;

/* A client cookie and a server cookie as we make them, RFC 9018 section 4. */
#define DNS_COOKIE_BYTES 24

/* Smallest and default limit of a UDP reply: RFC 1035 section 4.2.1, RFC 6891 section 6.2.3. */
#define DNS_UDP_MIN 512

/* A TCP message's length has two bytes: RFC 1035 section 4.2.2. */
#define DNS_TCP_MAX 65535

/* What dns_read() took from a request, kept between the passes over a batch. */
struct dns_query {
	struct zone_name name;
	uint32_t end; /* offset behind the question, or behind the header if there is none */
	uint16_t type;
	uint16_t class;
	uint16_t edns_size;  /* what the client says it can take */
	uint16_t opt_bytes;  /* the reply's OPT takes; 0 without EDNS */
	uint16_t edns_flags; /* DO and nothing else */
	uint16_t options;    /* offset of those of version 0; for dns_read() alone */
	uint16_t options_length;
	uint8_t edns_version;
	bool edns;
	bool nsid;         /* asked for, and we have one */
	bool has_cookie;   /* a client cookie at least */
	bool cookie_valid; /* and a server cookie of ours: the source address is no forgery */
	bool cookie_bad;   /* and a server cookie that is not */
	uint8_t cookie[DNS_COOKIE_BYTES]; /* what the reply carries, if has_cookie */
	bool counted;                     /* its answer is, at `rrl_slots`: dns/rrl.h */
	struct rrl_slots rrl_slots;
};

/*
 * Reads the request. Returns VERDICT_PENDING when its question is to be looked up by
 * dns_reply(), else the verdict of the reply that it wrote, or of silence: that of any request with
 * a room below DNS_UDP_MIN. `snap->zones` must not be NULL.
 */
enum verdict dns_read(const struct snapshot *snap, struct thread_state *state, struct request *rq,
		      struct dns_query *q);

/* Brings the node that dns_reply() will most likely answer from into the cache; optional. */
void dns_prefetch(const struct snapshot *snap, struct dns_query *q);

/*
 * Writes the reply over `rq->payload` and sets `rq->length`; bytes behind it, within `rq->room`,
 * may change too.
 */
enum verdict dns_reply(const struct snapshot *snap, struct request *rq, const struct dns_query *q);

#endif
