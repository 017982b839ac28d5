// SPDX-License-Identifier: Apache-2.0
#include "frame/frame.h"

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

_Static_assert(sizeof(struct ethhdr) == FRAME_ETH_BYTES, "IEEE 802.3");
_Static_assert(sizeof(struct iphdr) == FRAME_IPV4_BYTES, "RFC 791 section 3.1, without options");
_Static_assert(sizeof(struct ipv6hdr) == FRAME_IPV6_BYTES, "RFC 8200 section 3");
_Static_assert(sizeof(struct udphdr) == FRAME_UDP_BYTES, "RFC 768");

/* IPv4: version 4 and a header of five words, in one byte. */
#define IPV4_VERSION_IHL   0x45
#define IPV4_DONT_FRAGMENT 0x4000
#define IPV4_FRAGMENT_MASK 0x3fff /* more fragments, or an offset: RFC 791 section 3.1 */

/* Where these are in the header's first eight bytes, loaded in host order. */
#define IPV4_FIRST_MASK (0xff | (uint64_t)__builtin_bswap16(IPV4_FRAGMENT_MASK) << 48)

/* Linux's default net.ipv4.ip_default_ttl and IPv6 hop limit. */
#define FRAME_TTL 64

/*
 * The sum of the pseudo-header: RFC 768, RFC 8200 section 8.1; `length` is that of the UDP header,
 * in network order.
 */
static uint64_t pseudo_sum(const struct frame *frame, uint16_t length)
{
	return checksum_word(frame->addresses, (uint32_t)__builtin_bswap16(IPPROTO_UDP) + length);
}

/* ---------------------------------------------------------------------------------------------- */

/* Both parsers set *udp_room: the bytes of the IP payload, at least those of a UDP header. */

static inline enum verdict parse_ipv4(const uint8_t *ip, uint32_t left, struct frame *frame,
				      uint32_t *udp_room)
{
	uint64_t first, sum;
	uint32_t total;

	if (left < FRAME_IPV4_BYTES + FRAME_UDP_BYTES)
		return VERDICT_bad_frame;
	first = load_u64(ip);
	total = load_be16(ip + 2);
	if ((first & IPV4_FIRST_MASK) != IPV4_VERSION_IHL || ip[9] != IPPROTO_UDP || total > left ||
	    total < FRAME_IPV4_BYTES + FRAME_UDP_BYTES)
		return VERDICT_bad_frame;
	frame->addresses = load_u64(ip + 12);
	sum = checksum_two(frame->addresses, first, load_u32(ip + 8));
	if (!checksum_is_right(sum))
		return VERDICT_ip_checksum;
	*udp_room = total - FRAME_IPV4_BYTES;
	return VERDICT_PENDING;
}

static inline enum verdict parse_ipv6(const uint8_t *ip, uint32_t left, struct frame *frame,
				      uint32_t *udp_room)
{
	uint32_t payload;

	if (left < FRAME_IPV6_BYTES + FRAME_UDP_BYTES || ip[0] >> 4 != 6)
		return VERDICT_bad_frame;
	payload = load_be16(ip + 4);
	if (payload > left - FRAME_IPV6_BYTES || payload < FRAME_UDP_BYTES || ip[6] != IPPROTO_UDP)
		return VERDICT_bad_frame;
	frame->addresses = checksum_32(0, ip + 8);
	*udp_room = payload;
	return VERDICT_PENDING;
}

/*
 * A UDP checksum that is zero, allowed over IPv4 only (RFC 8200 section 8.1), or wrong. One equal
 * to the bare pseudo-header sum is a frame from this same machine whose checksum was left to
 * offload hardware that does not exist (CHECKSUM_PARTIAL over veth or virtio).
 */
__attribute__((noinline)) static enum verdict other_checksum(struct frame *frame, uint16_t check,
							     uint64_t pseudo, uint8_t ip_version)
{
	if (check == 0) {
		frame->checksum = FRAME_CHECKSUM_NONE;
		return ip_version == 4 ? VERDICT_PENDING : VERDICT_udp_checksum;
	}
	frame->checksum = FRAME_CHECKSUM_PARTIAL;
	return check == checksum_fold(pseudo) ? VERDICT_PENDING : VERDICT_udp_checksum;
}

static uint8_t service_of(const struct snapshot *snap, uint16_t port)
{
	/* Port 0 means that the service is off. */
	if (port == 0)
		return SERVICE_NONE;
#define SERVICE_OF(name)                        \
	if (snap->port[SERVICE_##name] == port) \
		return SERVICE_##name;
	XDPKIT_SERVICES(SERVICE_OF)
	return SERVICE_NONE;
}

/*
 * Whether the frame claims a source that is one of this host's own addresses, loopback, or a subnet
 * broadcast. The kernel drops such martians; on the ring no kernel comes first.
 */
static inline bool source_is_spoofed(const struct snapshot *snap, const uint8_t *source,
				     uint8_t ip_version)
{
	if (ip_version == 4 && source[0] == 127)
		return true;
	return snapshot_is_reserved(snap, source, ip_version);
}

/* The sum of a datagram, by constants where it is as long as NTP's: most requests to NTP are. */
static inline uint64_t udp_sum(uint64_t pseudo, const uint8_t *udp, uint32_t udp_length)
{
	if (udp_length == FRAME_UDP_BYTES + 48)
		return checksum_add(pseudo, udp, FRAME_UDP_BYTES + 48);
	return checksum_add(pseudo, udp, udp_length);
}

/* The UDP datagram, and what of the request is known without its payload. Once for each version. */
static inline enum verdict parse_udp(const struct snapshot *snap, uint8_t *udp, uint32_t udp_length,
				     uint8_t ip_version, struct frame *frame, struct request *rq)
{
	uint16_t length = (uint16_t)load_u32(udp + 4), check = (uint16_t)(load_u32(udp + 4) >> 16);
	enum verdict verdict;
	uint64_t pseudo;

	if (length != __builtin_bswap16((uint16_t)udp_length))
		return VERDICT_bad_frame;
	pseudo = pseudo_sum(frame, length);
	frame->checksum = FRAME_CHECKSUM_RIGHT;
	if (check == 0 || !checksum_is_right(udp_sum(pseudo, udp, udp_length))) {
		verdict = other_checksum(frame, check, pseudo, ip_version);
		if (verdict != VERDICT_PENDING)
			return verdict;
	}
	rq->payload = udp + FRAME_UDP_BYTES;
	rq->length = udp_length - FRAME_UDP_BYTES;
	rq->source = ip_version == 4 ? udp - 8 : udp - 32;
	rq->source_port = load_be16(udp);
	rq->service = service_of(snap, load_be16(udp + 2));
	rq->ip_version = ip_version;
	rq->reply_sum = REPLY_SUM_NONE;
	rq->tcp = false;
	return source_is_spoofed(snap, rq->source, ip_version) ? VERDICT_source_address
							       : VERDICT_PENDING;
}

/* The IP header at offset `at`, and what follows it: with a constant version, one way each. */
static inline enum verdict parse_version(const struct snapshot *snap, uint8_t *data,
					 uint32_t length, uint32_t room, uint32_t at,
					 uint8_t ip_version, struct frame *frame,
					 struct request *rq)
{
	uint32_t udp_room = 0;
	enum verdict verdict = ip_version == 4
				       ? parse_ipv4(data + at, length - at, frame, &udp_room)
				       : parse_ipv6(data + at, length - at, frame, &udp_room);

	if (verdict != VERDICT_PENDING)
		return verdict;
	at += ip_version == 4 ? FRAME_IPV4_BYTES : FRAME_IPV6_BYTES;
	rq->room = room - (at + FRAME_UDP_BYTES);
	return parse_udp(snap, data + at, udp_room, ip_version, frame, rq);
}

/* A frame whose IP header is at offset `at`, behind an EtherType of `type`. */
static inline enum verdict parse_ip(const struct snapshot *snap, uint8_t *data, uint32_t length,
				    uint32_t room, uint32_t at, uint16_t type, struct frame *frame,
				    struct request *rq)
{
	frame->data = data;
	if (type == __builtin_bswap16(ETH_P_IP))
		return parse_version(snap, data, length, room, at, 4, frame, rq);
	if (type == __builtin_bswap16(ETH_P_IPV6))
		return parse_version(snap, data, length, room, at, 6, frame, rq);
	return VERDICT_bad_frame;
}

static bool type_is_tag(uint16_t type)
{
	return type == __builtin_bswap16(ETH_P_8021Q) || type == __builtin_bswap16(ETH_P_8021AD);
}

/* The same behind at most two tags: apart, so that the offsets of untagged frames are constants. */
__attribute__((noinline)) static enum verdict parse_tagged(const struct snapshot *snap,
							   uint8_t *data, uint32_t length,
							   uint32_t room, struct frame *frame,
							   struct request *rq)
{
	uint16_t type = load_u16(data + FRAME_ETH_BYTES - 2);
	uint32_t at = FRAME_ETH_BYTES;

	while (type_is_tag(type) && at < FRAME_ETH_BYTES + 2 * FRAME_TAG_BYTES &&
	       at + FRAME_TAG_BYTES <= length) {
		type = load_u16(data + at + 2);
		at += FRAME_TAG_BYTES;
	}
	return parse_ip(snap, data, length, room, at, type, frame, rq);
}

enum verdict frame_parse(const struct snapshot *snap, uint8_t *data, uint32_t length, uint32_t room,
			 struct frame *frame, struct request *rq)
{
	uint16_t type;

	if (length < FRAME_ETH_BYTES || length > room)
		return VERDICT_bad_frame;
	type = load_u16(data + FRAME_ETH_BYTES - 2);
	if (type != __builtin_bswap16(ETH_P_IP) && type != __builtin_bswap16(ETH_P_IPV6))
		return parse_tagged(snap, data, length, room, frame, rq);
	return parse_ip(snap, data, length, room, FRAME_ETH_BYTES, type, frame, rq);
}

/* ---------------------------------------------------------------------------------------------- */

/*
 * Headers are assembled in registers, stored once and summed from the registers: a wide load of
 * what narrow stores just wrote would stall until they reach the cache.
 */

/* Swaps the destination and source MAC addresses, 6 bytes each. */
static void swap_macs(uint8_t *ethernet)
{
	uint64_t destination = load_u64(ethernet), source = load_u64(ethernet + 6);

	/* Two bytes too many, which the next store corrects. */
	store_u64(ethernet, source);
	store_u32(ethernet + 6, (uint32_t)destination);
	store_u16(ethernet + 10, (uint16_t)(destination >> 32));
}

static void turn_ipv4(const struct frame *frame, uint8_t *ip, uint32_t udp_length)
{
	uint64_t addresses = load_u64(ip + 12);
	/* Version, TOS 0, length; ID 0 (RFC 6864: meaningless in an atomic datagram), DF. */
	uint32_t first = IPV4_VERSION_IHL |
			 (uint32_t)__builtin_bswap16((uint16_t)(FRAME_IPV4_BYTES + udp_length))
				 << 16;
	uint32_t second = (uint32_t)__builtin_bswap16(IPV4_DONT_FRAGMENT) << 16;
	uint32_t third = FRAME_TTL | IPPROTO_UDP << 8;
	uint64_t sum = checksum_word(frame->addresses, (uint64_t)first + second + third);

	third |= (uint32_t)(uint16_t)~checksum_fold(sum) << 16;
	store_u32(ip, first);
	store_u32(ip + 4, second);
	store_u32(ip + 8, third);
	store_u64(ip + 12, addresses << 32 | addresses >> 32);
}

static void turn_ipv6(uint8_t *ip, uint32_t udp_length)
{
	uint8_t source[16];

	memcpy(source, ip + 8, sizeof source);
	memcpy(ip + 8, ip + 24, sizeof source);
	memcpy(ip + 24, source, sizeof source);
	/* Version 6, traffic class and flow label 0. */
	store_be64(ip, 6ull << 60 | (uint64_t)udp_length << 16 | IPPROTO_UDP << 8 | FRAME_TTL);
}

/* The UDP header: ports swapped, length, checksum. */
static void turn_udp(struct frame *frame, const struct request *rq, uint32_t udp_length)
{
	uint8_t *udp = rq->payload - FRAME_UDP_BYTES;
	uint32_t ports = load_u32(udp);
	uint16_t length = __builtin_bswap16((uint16_t)udp_length);
	uint64_t sum;

	ports = ports << 16 | ports >> 16;
	store_u32(udp, ports);
	/* The sum does not depend on the order of addresses and ports. */
	if (rq->reply_sum == REPLY_SUM_SAME && frame->checksum == FRAME_CHECKSUM_RIGHT)
		return;
	sum = checksum_word(frame->addresses,
			    (uint64_t)ports + 2u * length + __builtin_bswap16(IPPROTO_UDP));
	if (rq->reply_sum == REPLY_SUM_BEGUN) {
		store_u16(udp + 4, length);
		frame->sum = checksum_word(sum, rq->sum);
		return;
	}
	sum = checksum_add(sum, rq->payload, rq->length);
	store_u32(udp + 4, length | (uint32_t)checksum_udp(sum) << 16);
}

uint32_t frame_turn(struct frame *frame, const struct request *rq)
{
	uint32_t udp_length = FRAME_UDP_BYTES + rq->length;
	uint8_t *udp = rq->payload - FRAME_UDP_BYTES;

	swap_macs(frame->data);
	if (rq->ip_version == 4)
		turn_ipv4(frame, udp - FRAME_IPV4_BYTES, udp_length);
	else
		turn_ipv6(udp - FRAME_IPV6_BYTES, udp_length);
	turn_udp(frame, rq, udp_length);
	return (uint32_t)(udp - frame->data) + udp_length;
}
