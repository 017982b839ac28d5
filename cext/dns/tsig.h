/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transaction signatures (RFC 8945). No key is known here: whoever signs a request gets NOTAUTH,
 * and learns from a TSIG record without a signature that the key is the reason.
 */
#ifndef XDPKIT_DNS_TSIG_H
#define XDPKIT_DNS_TSIG_H

#include "dns/dns.h"

/*
 * Whether the record whose owner is at `owner` and whose TYPE is at `fixed`, with all its RDATA in
 * the message, is a well-formed TSIG: RFC 8945 section 4.2.
 */
bool dns_tsig_sound(const uint8_t *p, uint32_t owner, uint32_t fixed);

/* The reply to a request with a sound TSIG at `q->tsig`: RFC 8945 sections 5.2.1 and 5.3.2. */
enum verdict dns_tsig_refused(const struct snapshot *snap, struct request *rq,
			      const struct dns_query *q);

#endif
