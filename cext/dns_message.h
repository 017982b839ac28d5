/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies that no zone decides, written over the request: an error, or the question and nothing.
 * Each keeps the OPT going if the request had one.
 */
#ifndef XDPKIT_DNS_MESSAGE_H
#define XDPKIT_DNS_MESSAGE_H

#include "dns.h"

/* An OPT as ours always is: version 0, no options. Returns the offset behind it. */
uint32_t dns_put_opt(uint8_t *p, uint32_t at, const struct snapshot *snap,
		     const struct dns_query *q, uint8_t rcode_high);

/* A reply that is a header only, and the OPT if a sound one was read. */
enum verdict dns_formerr(const struct snapshot *snap, struct request *rq,
			 const struct dns_query *q);

enum verdict dns_notimp(struct request *rq);

/* A reply that is the question and, if the request had one, an OPT; `bits2` is header byte 2. */
enum verdict dns_question_only(const struct snapshot *snap, struct request *rq,
			       const struct dns_query *q, uint8_t bits2, uint8_t rcode,
			       uint8_t rcode_high, enum verdict verdict);

#endif
