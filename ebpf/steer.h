/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The contract of the XDP program, the C packet code and the control plane: service IDs, verdicts,
 * map keys and sizes, and the metadata in front of a redirected frame.
 *
 * Included by steer.c (compiled by bcc or clang -target bpf), by cext/ and, through the Cython
 * modules, by the tests. Requires the fixed-width __u types to be declared already.
 */
#ifndef XDPKIT_STEER_H
#define XDPKIT_STEER_H

/* The services that a (VLAN tags, address, UDP port) can belong to. 0 is "none" everywhere. */
#define XDPKIT_SERVICES(S) S(ntp) S(dns) S(echo)

enum service {
	SERVICE_NONE = 0,
#define XDPKIT_SERVICE_ID(name) SERVICE_##name,
	XDPKIT_SERVICES(XDPKIT_SERVICE_ID) SERVICE_COUNT
#undef XDPKIT_SERVICE_ID
};

/*
 * Every verdict a packet can meet, defined once: counter, status key and metric label have its
 * name. PASS: the XDP program left the frame to the kernel. TAKE: it went to the AF_XDP socket.
 * ANSWER: a reply was sent. DROP: the loop or the slow path ended it without a reply.
 */
#define XDPKIT_VERDICTS(V)                                                                       \
	V(redirected, TAKE, "request for us, redirected to the queue's AF_XDP socket")           \
	V(truncated, PASS, "the frame ends before its headers do")                               \
	V(group_mac, PASS, "to, or from, a broadcast or multicast MAC address")                  \
	V(not_ip, PASS, "neither IPv4 nor IPv6 (ARP, LLDP, ...)")                                \
	V(vlan_depth, PASS, "more than two VLAN tags")                                           \
	V(ip_header, PASS, "IP version, header length or total length is wrong")                 \
	V(ip_options, PASS, "IPv4 options")                                                      \
	V(fragment, PASS, "IPv4 fragment")                                                       \
	V(extension_header, PASS, "IPv6 extension header (fragments among them)")                \
	V(not_udp, PASS, "TCP, ICMP or another transport")                                       \
	V(udp_length, PASS, "UDP length differs from the IP payload's")                          \
	V(not_served, PASS, "no service at these VLAN tags, address and port")                   \
	V(ntp_not_request, PASS, "NTP, but no request: for a program on this host")              \
	V(dns_not_request, PASS, "DNS response, for a program on this host")                     \
	V(other_queue, PASS, "request for us on a queue without an AF_XDP socket")               \
	V(oversize, PASS, "frame larger than a UMEM chunk can hold")                             \
	V(no_metadata, PASS, "no room for the receive stamp: rx_timestamps = loop needs none")   \
	V(echo_answered, ANSWER, "echo: sent back")                                              \
	V(ntp_answered, ANSWER, "NTP: answered, basic mode")                                     \
	V(ntp_interleaved, ANSWER, "NTP: answered, interleaved mode (last transmit time)")       \
	V(ntp_kod, ANSWER, "NTP: over the rate limit, kiss-o'-death RATE sent")                  \
	V(dns_noerror, ANSWER, "DNS: NOERROR with an answer")                                    \
	V(dns_nodata, ANSWER, "DNS: the name exists, the type does not")                         \
	V(dns_nxdomain, ANSWER, "DNS: NXDOMAIN")                                                 \
	V(dns_yxdomain, ANSWER, "DNS: YXDOMAIN, a DNAME made the name too long")                 \
	V(dns_referral, ANSWER, "DNS: referral to a delegated zone")                             \
	V(dns_truncated, ANSWER, "DNS: TC, the answer is larger than the limit")                 \
	V(dns_formerr, ANSWER, "DNS: FORMERR")                                                   \
	V(dns_notimp, ANSWER, "DNS: NOTIMP, an opcode other than QUERY")                         \
	V(dns_refused, ANSWER, "DNS: REFUSED, outside every zone and class served")              \
	V(dns_badvers, ANSWER, "DNS: BADVERS, EDNS version above 0")                             \
	V(dns_badcookie, ANSWER, "DNS: BADCOOKIE, to retry with the cookie in the reply")        \
	V(dns_rrl_slip, ANSWER, "DNS: over the rate limit, TC to retry over TCP")                \
	V(dns_cookie, ANSWER, "DNS: a cookie, for a request without a question")                 \
	V(dns_chaos, ANSWER, "DNS: class CHAOS, the server's identity")                          \
	V(bad_frame, DROP, "not a UDP request for a service here, or over 4096 bytes")           \
	V(ip_checksum, DROP, "IPv4 header checksum is wrong")                                    \
	V(udp_checksum, DROP, "UDP checksum is wrong, or zero over IPv6")                        \
	V(source_address, DROP, "no reply may go to the source address (own, group, broadcast)") \
	V(source_port, DROP, "source port 0")                                                    \
	V(echo_loop, DROP, "echo: the source port is itself served")                             \
	V(ntp_length, DROP, "NTP: shorter than 48 bytes, not a multiple of 4, or too long")      \
	V(ntp_version, DROP, "NTP: version 0 or above 4")                                        \
	V(ntp_mode, DROP, "NTP: not the mode of a request")                                      \
	V(ntp_port, DROP, "NTP: version 1, mode 0 from port 123")                                \
	V(ntp_extension, DROP, "NTP: extension field malformed or not allowed there")            \
	V(ntp_denied, DROP, "NTP: the access list denies the source")                            \
	V(ntp_limited, DROP, "NTP: over the rate limit")                                         \
	V(ntp_key, DROP, "NTP: authenticated with an unknown key")                               \
	V(ntp_digest, DROP, "NTP: authenticated with a known key, wrong digest")                 \
	V(ntp_nts, DROP, "NTP: NTS fields, but NTS is not served")                               \
	V(dns_short, DROP, "DNS: shorter than a header")                                         \
	V(dns_response, DROP, "DNS: a response, never answered")                                 \
	V(dns_rrl_drop, DROP, "DNS: over the rate limit")                                        \
	V(not_sent, DROP, "the kernel refused to send a reply of the slow path")

enum verdict {
	VERDICT_PENDING = 0, /* none yet: the packet goes on; never counted */
#define XDPKIT_VERDICT_ID(name, class, text) VERDICT_##name,
	XDPKIT_VERDICTS(XDPKIT_VERDICT_ID) VERDICT_COUNT
#undef XDPKIT_VERDICT_ID
};

/* The verdicts below this one are the XDP program's, the others the answering threads'. */
#define STEER_VERDICT_END VERDICT_echo_answered

/* Counter slots per queue in the XDP program's map: a power of two makes the index a shift. */
#define STEER_VERDICT_SLOTS 32

/* XSKMAP size, and the most queues with counters of their own (mlx5 has the most, 127). */
#define STEER_QUEUES 256

/* (VLAN tags, address, port) triples: 3 services on a host with over a thousand addresses. */
#define STEER_KEYS 4096

/*
 * UMEM chunk size. 2048 holds an Ethernet MTU of 1500, two tags, XDP's headroom and a reply of 1232
 * bytes, with half the cache and TLB footprint of 4096.
 */
#define XDPKIT_CHUNK 2048

/* XDP_PACKET_HEADROOM (linux/bpf.h): what the kernel leaves before the packet in each chunk. */
#define XDPKIT_HEADROOM 256

#define XDPKIT_MAX_FRAME (XDPKIT_CHUNK - XDPKIT_HEADROOM)

/* Key of the services map. Untagged and priority-tagged frames (VID 0) have tags of 0. */
struct steer_key {
	__u8 address[16]; /* destination, network order; IPv4 in the first 4 bytes, then zeros */
	__u16 port;       /* destination UDP port, network order */
	__u16 outer;      /* VLAN ID of the outer tag, host order */
	__u16 inner;      /* VLAN ID of the inner tag, host order; 0 with one tag */
	__u16 ip_version; /* 4 or 6, host order */
};

/*
 * The 16 bytes before a redirected frame: XDP metadata (Documentation/networking/af_xdp.rst), in
 * host order. Without it (rx_timestamps = "loop") those bytes have any value.
 */
struct steer_meta {
	__u64 rx_hw_ns;  /* the NIC's stamp, nanoseconds of the NIC's own clock; 0 = none */
	__u64 rx_tai_ns; /* CLOCK_TAI at XDP entry, nanoseconds since 1970 */
};

/*
 * A placeholder that xdpkit/bpf/kfunc.py replaces with bpf_xdp_metadata_rx_timestamp(): bcc knows
 * no kfuncs. No helper has this number (linux/bpf.h has some 210, in sequence).
 */
#define STEER_RX_TIMESTAMP_CALL 0x7ffffff0

#endif
