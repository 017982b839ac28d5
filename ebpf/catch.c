// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The load generator's side: UDP frames to its own range of ports go to the AF_XDP socket of the
 * queue they came in on, everything else passes. Untagged or with up to two VLAN tags.
 */
#include <uapi/linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include "steer.h"

struct catch_ports {
	__u16 first, last; /* host order, both included */
};

BPF_XSKMAP(xsks, STEER_QUEUES);
BPF_ARRAY(ports, struct catch_ports, 1);

struct vlan_tag {
	__be16 tci;
	__be16 next_ethertype;
};

static __always_inline int is_ours(struct xdp_md *ctx)
{
	void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = at;
	struct catch_ports *range;
	struct udphdr *udp;
	int zero = 0;
	__be16 type;
	__u16 port;

	if ((void *)(eth + 1) > end)
		return 0;
	type = eth->h_proto;
	at = eth + 1;
#pragma unroll
	for (int depth = 0; depth < 2; depth++) {
		struct vlan_tag *tag = at;

		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > end)
			return 0;
		type = tag->next_ethertype;
		at = tag + 1;
	}
	if (type == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = at;

		if ((void *)(ip + 1) > end || ip->ihl != 5 || ip->protocol != IPPROTO_UDP)
			return 0;
		udp = (void *)(ip + 1);
	} else if (type == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = at;

		if ((void *)(ip + 1) > end || ip->nexthdr != IPPROTO_UDP)
			return 0;
		udp = (void *)(ip + 1);
	} else {
		return 0;
	}
	if ((void *)(udp + 1) > end)
		return 0;
	range = ports.lookup(&zero);
	port = bpf_ntohs(udp->dest);
	return range && port >= range->first && port <= range->last;
}

int catch(struct xdp_md *ctx)
{
	if (!is_ours(ctx))
		return XDP_PASS;
	return xsks.redirect_map(ctx->rx_queue_index, XDP_PASS);
}
