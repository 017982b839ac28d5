/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the XDP program, the C packet code and the control plane agree on: service ids, verdicts,
 * map keys and sizes, and the metadata in front of a redirected frame.
 *
 * Included by steer.c (compiled by bcc or clang -target bpf), by cext/ and, through the Cython
 * modules, by the tests. Needs fixed-width __u types to be declared already.
 */
#ifndef XDPKIT_STEER_H
#define XDPKIT_STEER_H

/* Services that a (VLAN tags, address, UDP port) can belong to. 0 is "none" in every table. */
#define XDPKIT_SERVICES(S) S(ntp) S(dns) S(echo)

enum service {
	SERVICE_NONE = 0,
#define XDPKIT_SERVICE_ID(name) SERVICE_##name,
	XDPKIT_SERVICES(XDPKIT_SERVICE_ID) SERVICE_COUNT
#undef XDPKIT_SERVICE_ID
};

/*
 * Every end a packet can meet, said once: counter, status key and metric label are this name.
 * PASS: the XDP program left the frame to the kernel. TAKE: it went to the AF_XDP socket.
 * ANSWER: a reply was sent. DROP: the loop or the kernel door ended it without a reply.
 */
#define XDPKIT_VERDICTS(V)                                                                       \
	V(redirected, TAKE, "request for us, handed to the queue's AF_XDP socket")               \
	V(truncated, PASS, "the frame ends before the headers do")                               \
	V(group_mac, PASS, "to, or from, a broadcast or multicast MAC address")                  \
	V(not_ip, PASS, "neither IPv4 nor IPv6 (ARP, LLDP, ...)")                                \
	V(vlan_depth, PASS, "more than two VLAN tags")                                           \
	V(ip_header, PASS, "IP version, header length or total length is wrong")                 \
	V(ip_options, PASS, "IPv4 options")                                                      \
	V(fragment, PASS, "IPv4 fragment")                                                       \
	V(extension_header, PASS, "IPv6 extension header (fragments among them)")                \
	V(not_udp, PASS, "TCP, ICMP or another transport")                                       \
	V(udp_length, PASS, "UDP length differs from the IP payload's")                          \
	V(not_served, PASS, "VLAN tags, address and port that no service was given")             \
	V(ntp_not_request, PASS, "NTP mode of a reply, for a program on this host")              \
	V(dns_not_request, PASS, "DNS response, for a program on this host")                     \
	V(other_queue, PASS, "request for us on a queue that was not chosen")                    \
	V(oversize, PASS, "frame larger than a UMEM chunk holds")                                \
	V(no_metadata, PASS, "no room for the receive stamp: rx_timestamps = loop needs none")   \
	V(echo_answered, ANSWER, "echo: headers turned around")                                  \
	V(ntp_answered, ANSWER, "NTP: time given")                                               \
	V(ntp_interleaved, ANSWER, "NTP: time given, and when the reply before it left")         \
	V(ntp_kod, ANSWER, "NTP: over the rate limit, told so (kiss-o'-death RATE)")             \
	V(dns_noerror, ANSWER, "DNS: NOERROR with an answer")                                    \
	V(dns_nodata, ANSWER, "DNS: the name exists, the type does not")                         \
	V(dns_nxdomain, ANSWER, "DNS: NXDOMAIN")                                                 \
	V(dns_yxdomain, ANSWER, "DNS: YXDOMAIN, a DNAME made the name too long")                 \
	V(dns_referral, ANSWER, "DNS: delegation")                                               \
	V(dns_truncated, ANSWER, "DNS: TC, the answer is larger than the limit")                 \
	V(dns_formerr, ANSWER, "DNS: FORMERR")                                                   \
	V(dns_notimp, ANSWER, "DNS: NOTIMP, an opcode other than QUERY")                         \
	V(dns_refused, ANSWER, "DNS: REFUSED, out of every zone or class served")                \
	V(dns_badvers, ANSWER, "DNS: BADVERS, EDNS version above 0")                             \
	V(dns_badcookie, ANSWER, "DNS: BADCOOKIE, come again with the cookie in the reply")      \
	V(dns_rrl_slip, ANSWER, "DNS: over the rate limit, TC to come again over TCP")           \
	V(dns_cookie, ANSWER, "DNS: a cookie, to a request without a question")                  \
	V(dns_chaos, ANSWER, "DNS: class CHAOS, what the server tells of itself")                \
	V(bad_frame, DROP, "not what a door takes: no UDP frame of ours, or over 4096 bytes")    \
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
	V(ntp_key, DROP, "NTP: authenticated with a key we do not have")                         \
	V(ntp_digest, DROP, "NTP: authenticated with our key, and the digest is wrong")          \
	V(ntp_nts, DROP, "NTP: NTS fields, and NTS is not served")                               \
	V(dns_short, DROP, "DNS: shorter than a header")                                         \
	V(dns_response, DROP, "DNS: a response, never answered")                                 \
	V(dns_rrl_drop, DROP, "DNS: over the rate limit")                                        \
	V(not_sent, DROP, "the kernel took no reply from the slow path's socket")

enum verdict {
#define XDPKIT_VERDICT_ID(name, class, text) VERDICT_##name,
	XDPKIT_VERDICTS(XDPKIT_VERDICT_ID) VERDICT_COUNT,
#undef XDPKIT_VERDICT_ID
	VERDICT_PENDING = VERDICT_COUNT /* none yet: the packet goes on; it has no counter */
};

/* The verdicts below this one are the XDP program's, the others the answering side's. */
#define STEER_VERDICT_END VERDICT_echo_answered

/* Counter slots of a queue in the XDP program's map: a power of two makes the index a shift. */
#define STEER_VERDICT_SLOTS 32

/* XSKMAP size and the highest queue count with counters of its own (mlx5 has the most, 127). */
#define STEER_QUEUES 256

/* (VLAN tags, address, port) triples: 3 services on a host with over a thousand addresses. */
#define STEER_KEYS 4096

/*
 * UMEM chunk. 2048 holds an Ethernet MTU of 1500, two tags, XDP's headroom and a reply of 1232
 * bytes; half the cache and TLB footprint of 4096.
 */
#define XDPKIT_CHUNK 2048

/* XDP_PACKET_HEADROOM (linux/bpf.h): the kernel leaves this before the packet in every chunk. */
#define XDPKIT_HEADROOM 256

#define XDPKIT_MAX_FRAME (XDPKIT_CHUNK - XDPKIT_HEADROOM)

/* Key of the services map. A frame without a tag, or with priority tags (VID 0), has tags of 0. */
struct steer_key {
	__u8 address[16]; /* destination, network order; IPv4 in the first 4 bytes, 0 behind */
	__u16 port;       /* destination UDP port, network order */
	__u16 outer;      /* VLAN id of the outer tag, host order */
	__u16 inner;      /* VLAN id of the inner tag, host order; 0 with one tag */
	__u16 ip_version; /* 4 or 6, host order */
};

/*
 * In the 16 bytes before a redirected frame: XDP metadata (linux networking/af_xdp.rst), in host
 * order. Without it (rx_timestamps = "loop") those bytes are of any value.
 */
struct steer_meta {
	__u64 rx_hw_ns;  /* the NIC's stamp, nanoseconds of the NIC's own clock; 0 = none */
	__u64 rx_tai_ns; /* CLOCK_TAI at XDP entry, nanoseconds since 1970 */
};

/*
 * Stands for bpf_xdp_metadata_rx_timestamp() until xdpkit/bpf/kfunc.py puts the call there: bcc
 * knows no kernel functions. No helper has this number (linux/bpf.h has some 210, in sequence).
 */
#define STEER_RX_TIMESTAMP_CALL 0x7ffffff0

#endif
