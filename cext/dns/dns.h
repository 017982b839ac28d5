/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS: checks a request and writes the reply over it. What to answer was decided when the zones
 * were compiled (zone/zone.h); here a question is read, its image is found and copied after it.
 *
 * Malformed messages get FORMERR (RFC 1035 section 4.1.1, RFC 6891 section 7, RFC 8906 section 8);
 * a message without a complete header, or that is itself a response, gets no reply. Work is bounded
 * for any message: one pass over it, three hashes of a cookie, and two table probes for each label
 * of a name, at most 127, of at most 17 names where aliases are followed.
 */
#ifndef XDPKIT_DNS_H
#define XDPKIT_DNS_H

#include "service/request.h"
#include "admit/rrl.h"
#include "runtime/snapshot.h"
#include "zone/directory.h"

struct thread_state;

/* A client cookie and a server cookie as we make them, RFC 9018 section 4. */
#define DNS_COOKIE_BYTES 24

/* Smallest and default size limit of a UDP reply: RFC 1035 section 4.2.1, RFC 6891 section 6.2.3.
 */
#define DNS_UDP_MIN 512

/* The length field of a TCP message has two bytes: RFC 1035 section 4.2.2. */
#define DNS_TCP_MAX 65535

/*
 * A client subnet, RFC 7871 section 6, as the request has it; the reply repeats it with a scope.
 */
struct dns_subnet {
	uint8_t bytes; /* of the address that were sent; the others are 0 */
	uint8_t family;
	uint8_t source; /* prefix length */
	uint8_t scope;  /* of the reply: what decided */
	uint8_t address[16];
};

/* What dns_read() extracted from a request, kept between the passes over a batch. */
struct dns_query {
	struct zone_name name;
	struct zone_search search; /* for the name's zone and node */
	uint32_t end; /* offset just past the question, or past the header if there is none */
	uint16_t type;
	uint16_t class;
	uint16_t edns_size;  /* largest UDP reply that the client accepts */
	uint16_t opt_bytes;  /* size of the reply's OPT; 0 without EDNS */
	uint16_t edns_flags; /* DO or 0 */
	uint16_t options;    /* offset of the options of version 0; for dns_read() only */
	uint16_t options_length;
	uint16_t tsig;       /* offset of a TSIG's owner; 0: there is none */
	uint16_t tsig_fixed; /* and of its TYPE */
	uint8_t edns_version;
	bool edns;
	bool nsid;         /* requested, and we have one */
	bool zone_version; /* requested */
	bool report;       /* the reply carries our report channel */
	bool has_subnet;   /* and we obey it */
	bool has_cookie;   /* at least a client cookie */
	bool cookie_valid; /* and a server cookie of ours: the source is not spoofed */
	bool cookie_bad;   /* and a server cookie that is not ours */
	uint8_t cookie[DNS_COOKIE_BYTES]; /* what the reply carries, if has_cookie */
	struct dns_subnet subnet;         /* if has_subnet */
	const struct geo_bucket *bucket;  /* that is read first to locate the client, or NULL */
	const uint8_t *client;            /* its address, if `bucket` is known */
	uint8_t client_version;           /* of IP */
	bool by_subnet;                   /* which the resolver sent */
	bool counted;                     /* its answer counts, at `rrl_slots`: dns/rrl.h */
	struct rrl_slots rrl_slots;
};

/*
 * Reads the request. Returns VERDICT_PENDING if dns_reply() must look its question up, else the
 * verdict of the reply that it wrote, or of silence: any request whose room is below DNS_UDP_MIN
 * gets silence (dns_no_room). `snap->zones` must not be NULL.
 */
enum verdict dns_read(const struct snapshot *snap, struct thread_state *state, struct request *rq,
		      struct dns_query *q);

/*
 * One step of the search for the node that dns_reply() will answer from; false when it is over. In
 * a batch, a step for each request, and then the next.
 */
bool dns_prefetch(const struct snapshot *snap, const struct request *rq, struct dns_query *q);

/*
 * After dns_prefetch() has returned false: writes the reply over `rq->payload` and sets
 * `rq->length`; bytes past its end, within `rq->room`, may change too.
 */
enum verdict dns_reply(const struct snapshot *snap, struct thread_state *state, struct request *rq,
		       struct dns_query *q);

#endif
