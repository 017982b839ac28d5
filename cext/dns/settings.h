/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DNS configuration, apart from the zones: part of the snapshot, never written after it is
 * published.
 */
#ifndef XDPKIT_DNS_SETTINGS_H
#define XDPKIT_DNS_SETTINGS_H

#include <stdint.h>

#include "admit/prefix_map.h"
#include "admit/rrl.h"

/* Cookie secrets: the one in use, and the one before or after it. */
#define DNS_COOKIE_SECRETS 2

/* With this and the longest question, a reply without records fits 512 bytes (dns/edns.c). */
#define DNS_NSID_MAX 128

/* One character-string, RFC 1035 section 3.3. */
#define DNS_TEXT_MAX 255

/* What may be published in class CHAOS. */
enum dns_text { DNS_TEXT_VERSION, DNS_TEXT_HOSTNAME, DNS_TEXT_ID, DNS_TEXT_COUNT };

struct dns_settings {
	uint16_t max_udp[2];    /* most bytes of a reply over UDP: over IPv4, over IPv6 */
	uint8_t cookie_secrets; /* how many; 0: cookies are treated as an unknown option */
	uint8_t nsid_length;    /* 0: off */
	uint8_t text_length[DNS_TEXT_COUNT]; /* 0: off */
	uint64_t cookie_secret[DNS_COOKIE_SECRETS]
			      [2];  /* cookies are made with the first, accepted with any */
	uint8_t nsid[DNS_NSID_MAX]; /* RFC 5001 section 2.3 */
	uint8_t text[DNS_TEXT_COUNT][DNS_TEXT_MAX];
	struct rrl_rule rrl; /* for threads that have a table (runtime/thread_state.h) */
	const struct prefix_map *rrl_others; /* sources that are not exempt; NULL: all */
};

#endif
