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
#define IPV4_VERSION_IHL 0x45

/* More fragments, or an offset: RFC 791 section 3.1. */
#define IPV4_FRAGMENT_MASK 0x3fff
#define IPV4_DONT_FRAGMENT 0x4000

/* Linux's default net.ipv4.ip_default_ttl and IPv6 hop limit. */
#define FRAME_TTL 64

/* The sum of the pseudo-header: RFC 768, RFC 8200 section 8.1. */
static uint64_t pseudo_sum(const struct frame *frame, uint32_t udp_length)
{
	return frame->addresses + __builtin_bswap16(IPPROTO_UDP) +
	       __builtin_bswap16((uint16_t)udp_length);
}

/* ---------------------------------------------------------------------------------------------- */

static enum verdict parse_ipv4(struct frame *frame, uint32_t left, struct request *rq,
			       uint32_t *udp_room)
{
	const uint8_t *ip = frame->ip;
	uint32_t total;

	if (left < FRAME_IPV4_BYTES + FRAME_UDP_BYTES || ip[0] != IPV4_VERSION_IHL)
		return VERDICT_bad_frame;
	total = load_be16(ip + 2);
	if (total > left || total < FRAME_IPV4_BYTES + FRAME_UDP_BYTES || ip[9] != IPPROTO_UDP ||
	    load_be16(ip + 6) & IPV4_FRAGMENT_MASK)
		return VERDICT_bad_frame;
	frame->addresses = checksum_word(0, load_u64(ip + 12));
	if (checksum_fold(checksum_add(frame->addresses, ip, 12)) != 0xffff)
		return VERDICT_ip_checksum;
	rq->source = ip + 12;
	rq->ip_version = 4;
	frame->udp = frame->ip + FRAME_IPV4_BYTES;
	*udp_room = total - FRAME_IPV4_BYTES;
	return VERDICT_PENDING;
}

static enum verdict parse_ipv6(struct frame *frame, uint32_t left, struct request *rq,
			       uint32_t *udp_room)
{
	const uint8_t *ip = frame->ip;
	uint32_t payload;

	if (left < FRAME_IPV6_BYTES + FRAME_UDP_BYTES || ip[0] >> 4 != 6)
		return VERDICT_bad_frame;
	payload = load_be16(ip + 4);
	if (payload > left - FRAME_IPV6_BYTES || payload < FRAME_UDP_BYTES || ip[6] != IPPROTO_UDP)
		return VERDICT_bad_frame;
	frame->addresses = checksum_add(0, ip + 8, 32);
	rq->source = ip + 8;
	rq->ip_version = 6;
	frame->udp = frame->ip + FRAME_IPV6_BYTES;
	*udp_room = payload;
	return VERDICT_PENDING;
}

/*
 * UDP checksum: zero is allowed over IPv4 only (RFC 8200 section 8.1). A checksum equal to the bare
 * pseudo-header sum is a frame from this same machine whose checksum was left to offload hardware
 * that does not exist (CHECKSUM_PARTIAL over veth or virtio).
 */
static enum verdict verify_udp(struct frame *frame, const struct request *rq, uint32_t udp_length)
{
	uint64_t pseudo = pseudo_sum(frame, udp_length);
	uint16_t check;

	memcpy(&check, frame->udp + 6, sizeof check);
	if (check == 0)
		return rq->ip_version == 4 ? VERDICT_PENDING : VERDICT_udp_checksum;
	if (checksum_fold(checksum_add(pseudo, frame->udp, udp_length)) == 0xffff)
		return VERDICT_PENDING;
	if (check != checksum_fold(pseudo))
		return VERDICT_udp_checksum;
	frame->csum_partial = true;
	return VERDICT_PENDING;
}

static uint8_t service_of(const struct snapshot *snap, uint16_t port)
{
	for (uint8_t service = 1; service < SERVICE_COUNT; service++)
		/* Port 0 means that the service is off. */
		if (port && snap->port[service] == port)
			return service;
	return SERVICE_NONE;
}

/*
 * Whether the frame claims a source that is one of this host's own addresses, loopback, or a subnet
 * broadcast. The kernel drops such martians; on the ring no kernel comes first.
 */
static bool source_is_spoofed(const struct snapshot *snap, const struct request *rq)
{
	if (rq->ip_version == 4 && rq->source[0] == 127)
		return true;
	return snapshot_is_reserved(snap, rq->source, rq->ip_version);
}

enum verdict frame_parse(const struct snapshot *snap, uint8_t *data, uint32_t length, uint32_t room,
			 struct frame *frame, struct request *rq)
{
	uint32_t at = FRAME_ETH_BYTES, udp_length = 0;
	enum verdict verdict;
	uint16_t type;

	if (length < FRAME_ETH_BYTES || length > room)
		return VERDICT_bad_frame;
	type = load_be16(data + 12);
	while ((type == ETH_P_8021Q || type == ETH_P_8021AD) &&
	       at < FRAME_ETH_BYTES + 2 * FRAME_TAG_BYTES && at + FRAME_TAG_BYTES <= length) {
		type = load_be16(data + at + 2);
		at += FRAME_TAG_BYTES;
	}
	frame->data = data;
	frame->ip = data + at;
	frame->csum_partial = false;
	if (type == ETH_P_IP)
		verdict = parse_ipv4(frame, length - at, rq, &udp_length);
	else if (type == ETH_P_IPV6)
		verdict = parse_ipv6(frame, length - at, rq, &udp_length);
	else
		return VERDICT_bad_frame;
	if (verdict != VERDICT_PENDING)
		return verdict;
	if (load_be16(frame->udp + 4) != udp_length)
		return VERDICT_bad_frame;
	verdict = verify_udp(frame, rq, udp_length);
	if (verdict != VERDICT_PENDING)
		return verdict;

	rq->source_port = load_be16(frame->udp);
	rq->payload = frame->udp + FRAME_UDP_BYTES;
	rq->length = udp_length - FRAME_UDP_BYTES;
	rq->room = room - (uint32_t)(rq->payload - data);
	rq->service = service_of(snap, load_be16(frame->udp + 2));
	rq->tcp = false;
	return source_is_spoofed(snap, rq) ? VERDICT_source_address : VERDICT_PENDING;
}

/* ---------------------------------------------------------------------------------------------- */

/* Swaps the destination and source MAC addresses, 6 bytes each. */
static void swap_macs(uint8_t *ethernet)
{
	uint64_t first = load_u64(ethernet), source, destination;
	uint32_t last;

	memcpy(&last, ethernet + 8, sizeof last);
	destination = first & 0xffffffffffff;
	source = first >> 48 | (uint64_t)last << 16;
	first = source | destination << 48;
	last = (uint32_t)(destination >> 16);
	memcpy(ethernet, &first, sizeof first);
	memcpy(ethernet + 8, &last, sizeof last);
}

/*
 * Headers are assembled in registers, stored once and summed from the registers: a wide load of
 * what narrow stores just wrote would stall until they reach the cache.
 */
static void turn_ipv4(const struct frame *frame, uint32_t udp_length)
{
	uint64_t addresses = load_u64(frame->ip + 12);
	uint64_t length = __builtin_bswap16((uint16_t)(FRAME_IPV4_BYTES + udp_length));
	/* Version, TOS 0, length, ID 0 (RFC 6864: meaningless in an atomic datagram), DF. */
	uint64_t first = IPV4_VERSION_IHL | length << 16 |
			 (uint64_t)__builtin_bswap16(IPV4_DONT_FRAGMENT) << 48;
	uint32_t last = FRAME_TTL | IPPROTO_UDP << 8;
	uint16_t check = (uint16_t)~checksum_fold(checksum_word(frame->addresses + last, first));

	last |= (uint32_t)check << 16;
	addresses = addresses << 32 | addresses >> 32;
	memcpy(frame->ip, &first, sizeof first);
	memcpy(frame->ip + 8, &last, sizeof last);
	memcpy(frame->ip + 12, &addresses, sizeof addresses);
}

static void turn_ipv6(const struct frame *frame, uint32_t udp_length)
{
	uint8_t *ip = frame->ip, source[16];

	memcpy(source, ip + 8, sizeof source);
	memcpy(ip + 8, ip + 24, sizeof source);
	memcpy(ip + 24, source, sizeof source);
	/* Version 6, traffic class and flow label 0. */
	store_be64(ip, 6ull << 60 | (uint64_t)udp_length << 16 | IPPROTO_UDP << 8 | FRAME_TTL);
}

uint32_t frame_turn(struct frame *frame, const struct request *rq)
{
	uint32_t udp_length = FRAME_UDP_BYTES + rq->length, ports;
	uint64_t header, sum;

	swap_macs(frame->data);
	if (rq->ip_version == 4)
		turn_ipv4(frame, udp_length);
	else
		turn_ipv6(frame, udp_length);
	memcpy(&ports, frame->udp, sizeof ports);
	ports = ports << 16 | ports >> 16;
	header = ports | (uint64_t)__builtin_bswap16((uint16_t)udp_length) << 32;
	sum = checksum_word(pseudo_sum(frame, udp_length), header);
	sum = checksum_add(sum, rq->payload, rq->length);
	header |= (uint64_t)checksum_udp(sum) << 48;
	memcpy(frame->udp, &header, sizeof header);
	return (uint32_t)(frame->udp - frame->data) + udp_length;
}
