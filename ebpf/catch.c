// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * For the load generator: UDP frames to its own port range go to the AF_XDP socket of the queue
 * they arrived on, everything else passes. Untagged or with up to two VLAN tags. If so configured,
 * it leaves the receive stamp in front of the frame, as steer.c does.
 */
#include <uapi/linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include "steer.h"

struct catch_ports {
	__u16 first, last; /* host order, inclusive */
	__u32 stamp;       /* boolean: struct steer_meta in front of every frame */
};

BPF_XSKMAP(xsks, STEER_QUEUES);
BPF_ARRAY(ports, struct catch_ports, 1);

struct vlan_tag {
	__be16 tci;
	__be16 next_ethertype;
};

static __always_inline int is_ours(struct xdp_md *ctx, struct catch_ports *range)
{
	void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = at;
	struct udphdr *udp;
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
	port = bpf_ntohs(udp->dest);
	return port >= range->first && port <= range->last;
}

/* False when the driver leaves no room: stale bytes would be taken for a stamp. */
static __always_inline int stamp(struct xdp_md *ctx)
{
	struct steer_meta *meta;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return 0;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return 0;
	*meta = (struct steer_meta){.rx_tai_ns = bpf_ktime_get_tai_ns()};
	return 1;
}

int catch(struct xdp_md *ctx)
{
	struct catch_ports *range;
	int zero = 0;

	range = ports.lookup(&zero);
	if (!range || !is_ours(ctx, range))
		return XDP_PASS;
	if (range->stamp && !stamp(ctx))
		return XDP_PASS;
	return xsks.redirect_map(ctx->rx_queue_index, XDP_PASS);
}
