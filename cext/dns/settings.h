/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DNS configuration, apart from the zones: part of the snapshot, never written after it is
 * published.
 */
#ifndef XDPKIT_DNS_SETTINGS_H
#define XDPKIT_DNS_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "admit/prefix_map.h"
#include "admit/rrl.h"

/* Cookie secrets: the one in use, and the one before or after it. */
#define DNS_COOKIE_SECRETS 2

/* With this and the longest question, a reply without records fits 512 bytes (dns/edns.c). */
#define DNS_NSID_MAX 128

/* One character-string, RFC 1035 section 3.3. */
#define DNS_TEXT_MAX 255

/* A name, RFC 1035 section 3.1. */
#define DNS_AGENT_MAX 255

/* _status, without the seconds since the start at its end: dns/explain.h. */
#define DNS_STATUS_MAX 224

/* An address as text, or empty. */
#define DNS_ADDRESS_MAX 46

/* What may be published in class CHAOS. */
enum dns_text { DNS_TEXT_VERSION, DNS_TEXT_HOSTNAME, DNS_TEXT_ID, DNS_TEXT_COUNT };

struct dns_settings {
	uint16_t max_udp[2];    /* most bytes of a reply over UDP: over IPv4, over IPv6 */
	uint8_t cookie_secrets; /* how many; 0: cookies are treated as an unknown option */
	uint8_t nsid_length;    /* 0: off */
	uint8_t text_length[DNS_TEXT_COUNT]; /* 0: off */
	uint8_t report_length;               /* 0: off */
	uint8_t statistics;                  /* queries and replies are counted: dns/counts.h */
	uint8_t ecs; /* client subnets are obeyed, and echoed: RFC 7871; 0: not known */
	uint64_t cookie_secret[DNS_COOKIE_SECRETS]
			      [2];  /* cookies are made with the first, accepted with any */
	uint8_t nsid[DNS_NSID_MAX]; /* RFC 5001 section 2.3 */
	uint8_t text[DNS_TEXT_COUNT][DNS_TEXT_MAX];
	uint8_t report[DNS_AGENT_MAX]; /* agent domain, wire format: RFC 9567 section 5.1 */
	/* What names that explain say of the server (dns/explain.h). */
	uint8_t public_debug; /* whether _status and _health are for everybody */
	uint8_t status_length, server_id_length, server_address_length;
	uint8_t status[DNS_STATUS_MAX]; /* JSON up to where the seconds since `started_ns` go */
	uint8_t server_id[DNS_TEXT_MAX];
	uint8_t server_address[DNS_ADDRESS_MAX];
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	struct rrl_rule rrl; /* for threads that have a table (runtime/thread_state.h) */
	const struct prefix_map *rrl_others; /* sources that are not exempt; NULL: all */
};

/*
 * The settings that the control plane sets by name (xdpkit/_core/_snapshot.pyx): their names are
 * the keys of [dns]. A number has `size` bytes at `offset`; a text up to `size` bytes there, and
 * its length, of one byte, at `length`.
 */
struct dns_setting {
	const char *name;
	uint16_t offset, size;
	uint16_t length; /* 0: a number */
};

#define DNS_NUMBER(name, field) \
	{name, offsetof(struct dns_settings, field), sizeof((struct dns_settings *)0)->field, 0}
#define DNS_BYTES(name, field, length)                                                        \
	{name, offsetof(struct dns_settings, field), sizeof((struct dns_settings *)0)->field, \
	 offsetof(struct dns_settings, length)}

static const struct dns_setting dns_setting_table[] = {
	DNS_NUMBER("max_udp_ipv4", max_udp[0]),
	DNS_NUMBER("max_udp_ipv6", max_udp[1]),
	DNS_NUMBER("ecs", ecs),
	DNS_NUMBER("statistics", statistics),
	DNS_BYTES("nsid", nsid, nsid_length),
	DNS_BYTES("report_agent", report, report_length),
	DNS_NUMBER("public_debug", public_debug),
	DNS_NUMBER("started_ns", started_ns),
	DNS_BYTES("status", status, status_length),
	DNS_BYTES("server_id", server_id, server_id_length),
	DNS_BYTES("server_address", server_address, server_address_length),
	DNS_BYTES("version", text[DNS_TEXT_VERSION], text_length[DNS_TEXT_VERSION]),
	DNS_BYTES("hostname", text[DNS_TEXT_HOSTNAME], text_length[DNS_TEXT_HOSTNAME]),
	DNS_BYTES("id", text[DNS_TEXT_ID], text_length[DNS_TEXT_ID]),
};

#define DNS_SETTING_COUNT (sizeof dns_setting_table / sizeof dns_setting_table[0])

#endif
