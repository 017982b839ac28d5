/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The services, and the verdicts of each: its row of XDPKIT_SERVICES, a block of answers and a
 * block of drops are all that ebpf/ and Python know of a service. What answers its requests is its
 * row in cext/service/table.h.
 */
#ifndef XDPKIT_SERVICE_H
#define XDPKIT_SERVICE_H

/* The services that a (VLAN tags, address, UDP port) can belong to. 0 is "none" everywhere. */
#define XDPKIT_SERVICES(S) S(ntp) S(dns) S(echo)

enum service_id {
	SERVICE_NONE = 0,
#define XDPKIT_SERVICE_ID(name) SERVICE_##name,
	XDPKIT_SERVICES(XDPKIT_SERVICE_ID) SERVICE_COUNT
#undef XDPKIT_SERVICE_ID
};

/*
 * Every verdict a packet can meet, defined once: counter, status key and metric label have its
 * name. PASS: the XDP program left the frame to the kernel. TAKE: it went to the AF_XDP socket.
 * ANSWER: a reply was sent. DROP: the loop or the slow path ended it without a reply.
 *
 * They are blocks, which XDPKIT_VERDICTS puts in the order of the verdicts' IDs.
 */

/* Of the XDP program. */
#define XDPKIT_STEER_VERDICTS(V)                                                       \
	V(redirected, TAKE, "request for us, redirected to the queue's AF_XDP socket") \
	V(truncated, PASS, "the frame ends before its headers do")                     \
	V(group_mac, PASS, "to, or from, a broadcast or multicast MAC address")        \
	V(not_ip, PASS, "neither IPv4 nor IPv6 (ARP, LLDP, ...)")                      \
	V(vlan_depth, PASS, "more than two VLAN tags")                                 \
	V(ip_header, PASS, "IP version, header length or total length is wrong")       \
	V(ip_options, PASS, "IPv4 options")                                            \
	V(fragment, PASS, "IPv4 fragment")                                             \
	V(extension_header, PASS, "IPv6 extension header (fragments among them)")      \
	V(not_udp, PASS, "TCP, ICMP or another transport")                             \
	V(udp_length, PASS, "UDP length differs from the IP payload's")                \
	V(not_served, PASS, "no service at these VLAN tags, address and port")         \
	V(ntp_not_request, PASS, "NTP, but no request: for a program on this host")    \
	V(dns_not_request, PASS, "DNS response, for a program on this host")           \
	V(other_queue, PASS, "request for us on a queue without an AF_XDP socket")     \
	V(oversize, PASS, "frame larger than a UMEM chunk can hold")                   \
	V(no_metadata, PASS, "no room for the receive stamp: rx_timestamps = loop needs none")

#define XDPKIT_ECHO_ANSWERS(V) V(echo_answered, ANSWER, "echo: sent back")

#define XDPKIT_ECHO_DROPS(V) V(echo_loop, DROP, "echo: the source port is itself served")

#define XDPKIT_NTP_ANSWERS(V)                                                              \
	V(ntp_answered, ANSWER, "NTP: answered, basic mode")                               \
	V(ntp_interleaved, ANSWER, "NTP: answered, interleaved mode (last transmit time)") \
	V(ntp_kod, ANSWER, "NTP: over the rate limit, kiss-o'-death RATE sent")

#define XDPKIT_NTP_DROPS(V)                                                                 \
	V(ntp_length, DROP, "NTP: shorter than 48 bytes, not a multiple of 4, or too long") \
	V(ntp_version, DROP, "NTP: version 0 or above 4")                                   \
	V(ntp_mode, DROP, "NTP: not the mode of a request")                                 \
	V(ntp_port, DROP, "NTP: version 1, mode 0 from port 123")                           \
	V(ntp_extension, DROP, "NTP: extension field malformed or not allowed there")       \
	V(ntp_denied, DROP, "NTP: the access list denies the source")                       \
	V(ntp_limited, DROP, "NTP: over the rate limit")                                    \
	V(ntp_key, DROP, "NTP: authenticated with an unknown key")                          \
	V(ntp_digest, DROP, "NTP: authenticated with a known key, wrong digest")            \
	V(ntp_nts, DROP, "NTP: NTS fields, but NTS is not served")

#define XDPKIT_DNS_ANSWERS(V)                                                             \
	V(dns_noerror, ANSWER, "DNS: NOERROR with an answer")                             \
	V(dns_nodata, ANSWER, "DNS: the name exists, the type does not")                  \
	V(dns_nxdomain, ANSWER, "DNS: NXDOMAIN")                                          \
	V(dns_yxdomain, ANSWER, "DNS: YXDOMAIN, a DNAME made the name too long")          \
	V(dns_referral, ANSWER, "DNS: referral to a delegated zone")                      \
	V(dns_truncated, ANSWER, "DNS: TC, the answer is larger than the limit")          \
	V(dns_formerr, ANSWER, "DNS: FORMERR")                                            \
	V(dns_notimp, ANSWER, "DNS: NOTIMP, an opcode other than QUERY")                  \
	V(dns_refused, ANSWER, "DNS: REFUSED, outside every zone and class served")       \
	V(dns_servfail, ANSWER, "DNS: SERVFAIL, the zone could not be loaded")            \
	V(dns_badkey, ANSWER, "DNS: NOTAUTH, signed with a key that is unknown here")     \
	V(dns_badvers, ANSWER, "DNS: BADVERS, EDNS version above 0")                      \
	V(dns_badcookie, ANSWER, "DNS: BADCOOKIE, to retry with the cookie in the reply") \
	V(dns_rrl_slip, ANSWER, "DNS: over the rate limit, TC to retry over TCP")         \
	V(dns_cookie, ANSWER, "DNS: a cookie, for a request without a question")          \
	V(dns_chaos, ANSWER, "DNS: class CHAOS, the server's identity")

#define XDPKIT_DNS_DROPS(V)                                              \
	V(dns_short, DROP, "DNS: shorter than a header")                 \
	V(dns_response, DROP, "DNS: a response, never answered")         \
	V(dns_denied, DROP, "DNS: the access list denies the source")    \
	V(dns_rrl_drop, DROP, "DNS: over the rate limit")                \
	V(dns_no_zones, DROP, "DNS: asked before the zones were loaded") \
	V(dns_no_room, DROP, "DNS: no room for a reply of 512 bytes")

/* Of any request, before a service sees it. */
#define XDPKIT_REQUEST_DROPS(V)                                                                  \
	V(bad_frame, DROP, "not a UDP request for a service here, or over 4096 bytes")           \
	V(ip_checksum, DROP, "IPv4 header checksum is wrong")                                    \
	V(udp_checksum, DROP, "UDP checksum is wrong, or zero over IPv6")                        \
	V(source_address, DROP, "no reply may go to the source address (own, group, broadcast)") \
	V(source_port, DROP, "source port 0")                                                    \
	V(no_route, DROP, "this host has a blackhole, unreachable or prohibit route to the source")

/* Of any reply, after its service. */
#define XDPKIT_REPLY_DROPS(V) \
	V(not_sent, DROP, "the kernel refused to send a reply of the slow path")

/* clang-format off */
#define XDPKIT_VERDICTS(V)   \
	XDPKIT_STEER_VERDICTS(V) \
	XDPKIT_ECHO_ANSWERS(V)   \
	XDPKIT_NTP_ANSWERS(V)    \
	XDPKIT_DNS_ANSWERS(V)    \
	XDPKIT_REQUEST_DROPS(V)  \
	XDPKIT_ECHO_DROPS(V)     \
	XDPKIT_NTP_DROPS(V)      \
	XDPKIT_DNS_DROPS(V)      \
	XDPKIT_REPLY_DROPS(V)
/* clang-format on */

enum verdict {
	VERDICT_PENDING = 0, /* none yet: the packet goes on; never counted */
#define XDPKIT_VERDICT_ID(name, class, text) VERDICT_##name,
	XDPKIT_VERDICTS(XDPKIT_VERDICT_ID) VERDICT_COUNT
#undef XDPKIT_VERDICT_ID
};

/* The verdicts below this one are the XDP program's, the others the answering threads'. */
#define STEER_VERDICT_END VERDICT_echo_answered

#endif
