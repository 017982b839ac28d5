/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS over UDP: the check of a request and the reply in its place. What to say was decided when the
 * zones were compiled (zone.h); here a question is read, its image found and copied behind it.
 *
 * Malformed messages get FORMERR (RFC 1035 section 4.1.1, RFC 6891 section 7, RFC 8906 section 8);
 * what has no whole header, or is itself a response, gets nothing. Work is bounded for any message:
 * one pass over it and at most 127 probes of the table.
 */
#ifndef XDPKIT_DNS_H
#define XDPKIT_DNS_H

#include "answer.h"
#include "snapshot.h"

/* Smallest and default limit of a UDP reply: RFC 1035 section 4.2.1, RFC 6891 section 6.2.3. */
#define DNS_UDP_MIN 512

/* Writes the reply over `rq->payload` and sets `rq->length`; bytes behind it, within `rq->room`,
 * may change too. `snap->zones` must not be NULL. */
enum verdict dns_answer(const struct snapshot *snap, struct request *rq);

#endif
