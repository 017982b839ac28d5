/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies that do not depend on any zone, written over the request: an error, or the question and
 * no records. Each has an OPT if the request had one.
 */
#ifndef XDPKIT_DNS_MESSAGE_H
#define XDPKIT_DNS_MESSAGE_H

#include "dns/dns.h"

/* A reply that is only a header, and the OPT if a valid one was read. */
enum verdict dns_formerr(const struct snapshot *snap, struct request *rq,
			 const struct dns_query *q);

enum verdict dns_notimp(struct request *rq);

/*
 * A reply that is the question, if there was one, and, if the request had one, an OPT; `bits2` is
 * header byte 2, `rcode` the extended one, `ede` an extended error or 0 for none.
 */
enum verdict dns_question_only(const struct snapshot *snap, struct request *rq,
			       const struct dns_query *q, uint8_t bits2, uint16_t rcode,
			       uint16_t ede, enum verdict verdict);

/* Asks a client that sent a cookie to retry with the one in the reply, RFC 7873 section 5. */
enum verdict dns_badcookie(const struct snapshot *snap, struct request *rq,
			   const struct dns_query *q);

/* The reply to a question in class CHAOS: what the operator configured, else REFUSED. RFC 4892. */
enum verdict dns_chaos(const struct snapshot *snap, struct request *rq, const struct dns_query *q);

#endif
