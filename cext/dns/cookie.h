/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS cookies (RFC 7873) with the server cookie of RFC 9018, which servers of an anycast group that
 * share a secret accept from each other:
 *
 *   client cookie 8 | version 1 | reserved 3 | timestamp 4 | SipHash-2-4 8
 *
 * The hash goes over all that is before it and the client's address.
 */
#ifndef XDPKIT_DNS_COOKIE_H
#define XDPKIT_DNS_COOKIE_H

#include "dns/dns.h"

/*
 * Takes over the COOKIE option of `length` bytes at `data`: judges its server cookie, and makes the
 * one that the reply carries. Returns 0, or -1 if the length is not a cookie's.
 */
int dns_cookie_read(const struct snapshot *snap, struct thread_state *state,
		    const struct request *rq, const uint8_t *data, uint32_t length,
		    struct dns_query *q);

#endif
