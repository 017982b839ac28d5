// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Steers frames to the fast path: a UDP request for a (VLAN tags, address, port) in `services`, on
 * a queue that has an AF_XDP socket. All other frames pass unchanged to the kernel, including any
 * that are not understood.
 *
 *   NIC RX queue --> classify() --- PASS verdicts ---> kernel stack
 *                        | redirected
 *                        +--> receive stamps into the metadata --> xsks[queue]
 *
 * One source, two compilers: bcc (XDPKIT_BCC defined), or clang -target bpf with libbpf's headers.
 * Kernel 6.1 or later (bpf_ktime_get_tai_ns). Three variants: only the stamp of XDP entry; with
 * STEER_RX_TIMESTAMP also the NIC's (kernel 6.3, bound to one device); with STEER_NO_METADATA none,
 * for drivers that leave no room.
 */
#ifdef XDPKIT_BCC
#include <uapi/linux/bpf.h>
#else
#include <linux/bpf.h>
#endif
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#ifndef XDPKIT_BCC
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#endif
#include "steer.h"

#ifdef XDPKIT_BCC
BPF_XSKMAP(xsks, STEER_QUEUES);
BPF_HASH(services, struct steer_key, __u32, STEER_KEYS);
BPF_PERCPU_ARRAY(verdicts, __u64, STEER_QUEUES *STEER_VERDICT_SLOTS);
#define SEC(name)
#else
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, STEER_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_KEYS);
	__type(key, struct steer_key);
	__type(value, __u32);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STEER_QUEUES *STEER_VERDICT_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");
#endif

/* bcc rewrites map methods in the source and cannot see them in macros: hence small functions. */
static __always_inline __u32 *service_of(struct steer_key *key)
{
#ifdef XDPKIT_BCC
	return services.lookup(key);
#else
	return bpf_map_lookup_elem(&services, key);
#endif
}

static __always_inline void count(__u32 queue, enum verdict verdict)
{
	/* A queue beyond STEER_QUEUES has no counters: the lookup finds nothing. */
	__u32 slot = queue * STEER_VERDICT_SLOTS + verdict;
#ifdef XDPKIT_BCC
	__u64 *n = verdicts.lookup(&slot);
#else
	__u64 *n = bpf_map_lookup_elem(&verdicts, &slot);
#endif
	if (n)
		*n += 1;
}

static __always_inline int redirect(__u32 queue)
{
#ifdef XDPKIT_BCC
	return xsks.redirect_map(queue, XDP_PASS);
#else
	return bpf_redirect_map(&xsks, queue, XDP_PASS);
#endif
}

#ifndef STEER_NO_METADATA
/* The NIC's receive stamp in its own clock; 0 if none, or if the program is not device-bound. */
static __always_inline __u64 hardware_stamp(struct xdp_md *ctx)
{
	__u64 ns = 0;
#ifdef STEER_RX_TIMESTAMP
	int (*rx_timestamp)(struct xdp_md *, __u64 *) = (void *)STEER_RX_TIMESTAMP_CALL;

	/* An error leaves ns unchanged; veth returns no error, and 0 where there is no stamp. */
	rx_timestamp(ctx, &ns);
#else
	(void)ctx;
#endif
	return ns;
}

/* Puts both stamps in front of the frame; returns 0, or -1 if the driver leaves no room. */
static __always_inline int stamp(struct xdp_md *ctx)
{
	struct steer_meta *meta;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return -1;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return -1;
	meta->rx_hw_ns = hardware_stamp(ctx);
	meta->rx_tai_ns = bpf_ktime_get_tai_ns();
	return 0;
}
#endif

struct vlan_tag {
	__be16 tci;
	__be16 next_ethertype;
};

/* VLAN ID: the low 12 bits of the tag control information (IEEE 802.1Q 9.6). */
#define VLAN_VID_MASK 0x0fff

/* More fragments, or an offset: RFC 791 section 3.1. */
#define IPV4_FRAGMENT_MASK 0x3fff

/*
 * Skips up to two tags, starting from the EtherType in `type`. On return *type is the EtherType of
 * what is at *at.
 */
static __always_inline enum verdict skip_tags(void **at, void *end, __be16 *type,
					      struct steer_key *key)
{
	struct vlan_tag *tag;

#pragma unroll
	for (int depth = 0; depth < 2; depth++) {
		if (*type != bpf_htons(ETH_P_8021Q) && *type != bpf_htons(ETH_P_8021AD))
			return VERDICT_PENDING;
		tag = *at;
		if ((void *)(tag + 1) > end)
			return VERDICT_truncated;
		if (depth == 0)
			key->outer = bpf_ntohs(tag->tci) & VLAN_VID_MASK;
		else
			key->inner = bpf_ntohs(tag->tci) & VLAN_VID_MASK;
		*type = tag->next_ethertype;
		*at = tag + 1;
	}
	if (*type == bpf_htons(ETH_P_8021Q) || *type == bpf_htons(ETH_P_8021AD))
		return VERDICT_vlan_depth;
	return VERDICT_PENDING;
}

/* Checks the IPv4 header; on success *at is the UDP header and *length the IP payload's length. */
static __always_inline enum verdict parse_ipv4(void **at, void *end, struct steer_key *key,
					       __u16 *length)
{
	struct iphdr *ip = *at;
	__u16 total;

	if ((void *)(ip + 1) > end)
		return VERDICT_truncated;
	if (ip->version != 4 || ip->ihl < 5)
		return VERDICT_ip_header;
	if (ip->protocol != IPPROTO_UDP)
		return VERDICT_not_udp;
	if (ip->ihl != 5)
		return VERDICT_ip_options;
	if (ip->frag_off & bpf_htons(IPV4_FRAGMENT_MASK))
		return VERDICT_fragment;
	total = bpf_ntohs(ip->tot_len);
	/* As numbers: the 6.1 verifier rejects adding a value from ntohs to a pointer. */
	if (total < sizeof(*ip) || total > end - *at)
		return VERDICT_ip_header;
	__builtin_memcpy(key->address, &ip->daddr, 4);
	key->ip_version = 4;
	*length = total - sizeof(*ip);
	*at = ip + 1;
	return VERDICT_PENDING;
}

/* IPv6 next headers that lead to more headers (IANA "IPv6 Extension Header Types"). */
static __always_inline int is_extension(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
	       next == IPPROTO_ESP || next == IPPROTO_AH || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_MH || next == 139 /* HIP */ || next == 140 /* Shim6 */;
}

/* The same for IPv6. */
static __always_inline enum verdict parse_ipv6(void **at, void *end, struct steer_key *key,
					       __u16 *length)
{
	struct ipv6hdr *ip = *at;
	__u16 payload;

	if ((void *)(ip + 1) > end)
		return VERDICT_truncated;
	if (ip->version != 6)
		return VERDICT_ip_header;
	if (ip->nexthdr != IPPROTO_UDP)
		return is_extension(ip->nexthdr) ? VERDICT_extension_header : VERDICT_not_udp;
	payload = bpf_ntohs(ip->payload_len);
	if (payload > end - (void *)(ip + 1))
		return VERDICT_ip_header;
	__builtin_memcpy(key->address, &ip->daddr, 16);
	key->ip_version = 6;
	*length = payload;
	*at = ip + 1;
	return VERDICT_PENDING;
}

/*
 * Replies to programs on this host must reach them, or the operator's own chronyd and resolver
 * would go deaf. A payload too short to tell is a malformed request, which the loop counts.
 * `length` is the payload's own: Ethernet pads a short frame with bytes of any value.
 */
static __always_inline enum verdict request_or_reply(__u32 service, __u8 *payload, __u16 length,
						     void *end)
{
	__u8 version, mode;

	if (service == SERVICE_ntp && length >= 1 && (void *)(payload + 1) <= end) {
		version = payload[0] >> 3 & 7;
		mode = payload[0] & 7;
		if (mode == 1 || mode == 3 || (mode == 0 && version == 1))
			return VERDICT_PENDING;
		return VERDICT_ntp_not_request;
	}
	if (service == SERVICE_dns && length >= 3 && (void *)(payload + 3) <= end &&
	    payload[2] & 0x80)
		return VERDICT_dns_not_request;
	return VERDICT_PENDING;
}

static __always_inline enum verdict classify(struct xdp_md *ctx)
{
	void *at = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct steer_key key = {};
	struct ethhdr *eth = at;
	struct udphdr *udp;
	enum verdict verdict;
	__u16 length = 0;
	__u32 *service;
	__be16 type;

	if ((void *)(eth + 1) > end)
		return VERDICT_truncated;
	/* A group source address would make the reply a broadcast or multicast. */
	if ((eth->h_dest[0] | eth->h_source[0]) & 1)
		return VERDICT_group_mac;
	type = eth->h_proto;
	at = eth + 1;
	verdict = skip_tags(&at, end, &type, &key);
	if (verdict != VERDICT_PENDING)
		return verdict;

	if (type == bpf_htons(ETH_P_IP))
		verdict = parse_ipv4(&at, end, &key, &length);
	else if (type == bpf_htons(ETH_P_IPV6))
		verdict = parse_ipv6(&at, end, &key, &length);
	else
		return VERDICT_not_ip;
	if (verdict != VERDICT_PENDING)
		return verdict;

	udp = at;
	if ((void *)(udp + 1) > end)
		return VERDICT_truncated;
	key.port = udp->dest;
	service = service_of(&key);
	if (!service)
		return VERDICT_not_served;
	if (bpf_ntohs(udp->len) != length || length < sizeof(*udp))
		return VERDICT_udp_length;
	length -= sizeof(*udp);
	verdict = request_or_reply(*service, (__u8 *)(udp + 1), length, end);
	if (verdict != VERDICT_PENDING)
		return verdict;
	if (ctx->data_end - ctx->data > XDPKIT_MAX_FRAME)
		return VERDICT_oversize;
	return VERDICT_PENDING;
}

SEC("xdp")
int steer(struct xdp_md *ctx)
{
	__u32 queue = ctx->rx_queue_index;
	enum verdict verdict = classify(ctx);

	if (verdict != VERDICT_PENDING)
		goto pass;
	/* A queue without a socket (not selected, or its worker is gone): the slow path answers. */
	if (redirect(queue) != XDP_REDIRECT) {
		verdict = VERDICT_other_queue;
		goto pass;
	}
#ifndef STEER_NO_METADATA
	/* Only redirected frames get metadata; without room, stale bytes would pass for a stamp. */
	if (stamp(ctx)) {
		verdict = VERDICT_no_metadata;
		goto pass;
	}
#endif
	count(queue, VERDICT_redirected);
	return XDP_REDIRECT;

pass:
	count(queue, verdict);
	return XDP_PASS;
}

#ifndef XDPKIT_BCC
char _license[] SEC("license") = "Dual BSD/GPL";
#endif
