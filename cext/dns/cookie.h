/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS cookies (RFC 7873) with the interoperable server cookie of RFC 9018: the servers of an
 * anycast group that share a secret accept each other's:
 *
 *   client cookie 8 | version 1 | reserved 3 | timestamp 4 | SipHash-2-4 8
 *
 * The hash covers everything before it and the client's address.
 */
#ifndef XDPKIT_DNS_COOKIE_H
#define XDPKIT_DNS_COOKIE_H

#include "dns/dns.h"

/*
 * Reads the COOKIE option of `length` bytes at `data`: verifies its server cookie, and makes the
 * one that the reply carries. Returns 0, or -1 if no cookie has this length.
 */
int dns_cookie_read(const struct snapshot *snap, struct thread_state *state,
		    const struct request *rq, const uint8_t *data, uint32_t length,
		    struct dns_query *q);

#endif
