/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the configuration says of DNS beside the zones: part of the snapshot, never written after
 * its publication.
 */
#ifndef XDPKIT_DNS_SETTINGS_H
#define XDPKIT_DNS_SETTINGS_H

#include <stdint.h>

#include "admit/access.h"
#include "admit/rrl.h"

/* Secrets that a cookie may be made with: the one in use, and the one before or after it. */
#define DNS_COOKIE_SECRETS 2

/* With this, and the longest question, a reply without records fits 512 bytes (dns/edns.c). */
#define DNS_NSID_MAX 128

/* One character-string, RFC 1035 section 3.3. */
#define DNS_TEXT_MAX 255

/* What may be told in class CHAOS. */
enum dns_text { DNS_TEXT_VERSION, DNS_TEXT_HOSTNAME, DNS_TEXT_ID, DNS_TEXT_COUNT };

struct dns_settings {
	uint16_t max_udp[2];    /* bytes of a reply over UDP at most: over IPv4, over IPv6 */
	uint8_t cookie_secrets; /* how many there are; 0: cookies are an unknown option */
	uint8_t nsid_length;    /* 0: off */
	uint8_t text_length[DNS_TEXT_COUNT];           /* 0: off */
	uint64_t cookie_secret[DNS_COOKIE_SECRETS][2]; /* the first makes, all are accepted */
	uint8_t nsid[DNS_NSID_MAX];                    /* RFC 5001 section 2.3 */
	uint8_t text[DNS_TEXT_COUNT][DNS_TEXT_MAX];
	struct rrl_rule rrl; /* for threads that have a table (runtime/thread_state.h) */
	const struct access_list *rrl_others; /* who is not exempt; NULL: all */
};

#endif
