/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The contract of the XDP program, the C packet code and the control plane: map keys and sizes, the
 * metadata in front of a redirected frame, and, in service.h, service IDs and verdicts.
 *
 * Included by steer.c (compiled by bcc or clang -target bpf), by cext/ and, through the Cython
 * modules, by the tests. Requires the fixed-width __u types to be declared already.
 */
#ifndef XDPKIT_STEER_H
#define XDPKIT_STEER_H

#include "service.h"

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
