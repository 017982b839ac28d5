// SPDX-License-Identifier: Apache-2.0
#include "dns/edns.h"

#include "base/bytes.h"
#include "dns/cookie.h"
#include "dns/wire.h"
#include "runtime/snapshot.h"

/* With an IPv6 address, whole. */
#define SUBNET_OPTION_MOST (OPTION_HEADER + SUBNET_FIXED + 16)

/* A reply without records, with each option at its largest, fits UDP whatever the size limit. */
_Static_assert(HEADER_SIZE + ZONE_NAME_MAX + 4 + OPT_SIZE + OPTION_HEADER + DNS_COOKIE_BYTES +
			       OPTION_HEADER + DNS_NSID_MAX + OPTION_HEADER + ZONEVERSION_BYTES +
			       SUBNET_OPTION_MOST + OPTION_HEADER + EDE_BYTES <=
		       DNS_UDP_MIN,
	       "dns/message.c, dns/reply.c: question and OPT");

static inline uint32_t subnet_size(const struct dns_subnet *subnet)
{
	return OPTION_HEADER + SUBNET_FIXED + subnet->bytes;
}

bool dns_options_fit(const uint8_t *rdata, uint32_t length)
{
	while (length) {
		uint32_t size;

		if (length < OPTION_HEADER)
			return false;
		size = OPTION_HEADER + load_be16(rdata + 2);
		/* The last one, which most often is the only one. */
		if (size == length)
			return true;
		if (size > length)
			return false;
		rdata += size;
		length -= size;
	}
	return true;
}

/*
 * A malformed one must be refused, RFC 7871 section 6, whether answers depend on it or not. Family
 * 0 with a prefix of 0 bits is how BIND's clients say "do not forward my subnet".
 */
static bool subnet_sound(const uint8_t *data, uint32_t length)
{
	static const uint8_t most[] = {0, 32, 128};
	uint32_t family, prefix, bytes;

	if (length < SUBNET_FIXED)
		return false;
	family = load_be16(data);
	prefix = data[2];
	bytes = (prefix + 7) / 8;
	/* The scope is the server's to say, RFC 7871 section 6. */
	if (data[3] || family >= sizeof most || prefix > most[family] ||
	    length != SUBNET_FIXED + bytes)
		return false;
	return prefix % 8 == 0 || !(uint8_t)(data[SUBNET_FIXED - 1 + bytes] << prefix % 8);
}

/* Copies an address of 0 to 16 bytes, and zeros for the others; memory ends at `end`. */
static inline void copy_address(uint8_t to[16], const uint8_t *from, uint32_t bytes,
				const uint8_t *end)
{
	uint64_t word = 0;

	memset(to, 0, 16);
	if (bytes > sizeof word || end - from < (int)sizeof word) {
		memcpy(to, from, bytes);
	} else if (bytes) {
		/* Most have three: one load, whose bytes past them are shifted out. */
		word = load_u64(from) << 8 * (sizeof word - bytes) >> 8 * (sizeof word - bytes);
		memcpy(to, &word, sizeof word);
	}
}

/* The first counts. */
static int read_subnet(const struct snapshot *snap, const struct request *rq, const uint8_t *data,
		       uint32_t length, struct dns_query *q)
{
	struct dns_subnet *subnet = &q->subnet;

	if (!subnet_sound(data, length))
		return -1;
	if (!snap->dns.ecs || q->has_subnet)
		return 0;
	q->has_subnet = true;
	subnet->family = data[1];
	subnet->source = data[2];
	subnet->scope = 0;
	subnet->bytes = (uint8_t)(length - SUBNET_FIXED);
	copy_address(subnet->address, data + SUBNET_FIXED, subnet->bytes, rq->payload + rq->room);
	return 0;
}

/* Unknown options are ignored, RFC 6891 section 6.1.2. */
static int read_option(const struct snapshot *snap, struct thread_state *state,
		       const struct request *rq, uint32_t code, const uint8_t *data,
		       uint32_t length, struct dns_query *q)
{
	switch (code) {
	case OPTION_NSID:
		q->nsid = snap->dns.nsid_length != 0;
		return 0;
	case OPTION_ZONEVERSION:
		/* One with data is ignored, RFC 9660 section 3.1. */
		q->zone_version |= !length;
		return 0;
	case OPTION_SUBNET:
		return read_subnet(snap, rq, data, length, q);
	case OPTION_COOKIE:
		/* The first counts, RFC 7873 section 5.2. */
		if (!snap->dns.cookie_secrets || q->has_cookie)
			return 0;
		return dns_cookie_read(snap, state, rq, data, length, q);
	default:
		return 0;
	}
}

int dns_options_read(const struct snapshot *snap, struct thread_state *state,
		     const struct request *rq, struct dns_query *q)
{
	const uint8_t *rdata = rq->payload + q->options, *end = rdata + q->options_length;
	int error = 0;

	while (rdata < end && !error) {
		uint32_t size = load_be16(rdata + 2);

		error = read_option(snap, state, rq, load_be16(rdata), rdata + OPTION_HEADER, size,
				    q);
		rdata += OPTION_HEADER + size;
	}
	if (q->has_cookie)
		q->opt_bytes += OPTION_HEADER + DNS_COOKIE_BYTES;
	if (q->nsid)
		q->opt_bytes += OPTION_HEADER + snap->dns.nsid_length;
	if (q->zone_version)
		q->opt_bytes += OPTION_HEADER + ZONEVERSION_BYTES;
	if (q->has_subnet)
		q->opt_bytes += subnet_size(&q->subnet);
	return error;
}

void dns_report_begin(const struct snapshot *snap, struct dns_query *q)
{
	uint32_t size = OPTION_HEADER + snap->dns.report_length;

	/* With an extended error it must fit as above. */
	if (!q->edns || q->end + q->opt_bytes + size + OPTION_HEADER + EDE_BYTES > DNS_UDP_MIN)
		return;
	q->report = true;
	q->opt_bytes += size;
}

static uint8_t *put_option(uint8_t *p, uint16_t code, const uint8_t *data, uint32_t length)
{
	store_be16(p, code);
	store_be16(p + 2, (uint16_t)length);
	memcpy(p + OPTION_HEADER, data, length);
	return p + OPTION_HEADER + length;
}

/* The version of the zone that answers the question, RFC 9660; none if no zone does. */
static uint8_t *put_zone_version(uint8_t *p, const struct snapshot *snap, const struct dns_query *q)
{
	const struct zone_served *zone;
	uint8_t version[ZONEVERSION_BYTES];

	if (q->class != CLASS_IN || !snap->zones)
		return p;
	zone = zone_directory_answering(snap->zones, &q->name, q->type);
	if (!zone || !zone->arena)
		return p;
	version[0] = zone->arena->min_labels;
	version[1] = 0; /* SOA-SERIAL */
	store_be32(version + 2, zone->arena->serial);
	return put_option(p, OPTION_ZONEVERSION, version, sizeof version);
}

static uint8_t *put_subnet(uint8_t *p, const struct dns_subnet *subnet)
{
	uint8_t data[SUBNET_FIXED + sizeof subnet->address] = {0, subnet->family, subnet->source,
							       subnet->scope};

	memcpy(data + SUBNET_FIXED, subnet->address, sizeof subnet->address);
	return put_option(p, OPTION_SUBNET, data, SUBNET_FIXED + subnet->bytes);
}

/* RDLENGTH, and the header of the only option that follows it, as one number in host order. */
static inline uint64_t only_option(uint16_t code, uint32_t length)
{
	return __builtin_bswap16((uint16_t)(OPTION_HEADER + length)) |
	       (uint64_t)__builtin_bswap16(code) << 16 |
	       (uint64_t)__builtin_bswap16((uint16_t)length) << 32;
}

/* The cookie is the only option: fixed sizes, one move each. */
static inline uint32_t put_only_cookie(uint8_t *rdlength, const struct dns_query *q)
{
	uint64_t head = only_option(OPTION_COOKIE, DNS_COOKIE_BYTES);

	/* The last two bytes that this writes are the cookie's. */
	memcpy(rdlength, &head, sizeof head);
	memcpy(rdlength + 2 + OPTION_HEADER, q->cookie, DNS_COOKIE_BYTES);
	return OPTION_HEADER + DNS_COOKIE_BYTES;
}

/* So is the client subnet. `rdlength` has room for the longest address. */
static inline uint32_t put_only_subnet(uint8_t *rdlength, const struct dns_subnet *subnet)
{
	uint32_t length = SUBNET_FIXED + subnet->bytes;
	uint64_t head = only_option(OPTION_SUBNET, length);
	/* The family's first byte is 0. */
	uint32_t fixed = (uint32_t)subnet->family << 8 | (uint32_t)subnet->source << 16 |
			 (uint32_t)subnet->scope << 24;

	memcpy(rdlength, &head, sizeof head);
	memcpy(rdlength + 2 + OPTION_HEADER, &fixed, sizeof fixed);
	memcpy(rdlength + 2 + OPTION_HEADER + SUBNET_FIXED, subnet->address,
	       sizeof subnet->address);
	return OPTION_HEADER + length;
}

/* A separate function, so that the common OPT without options costs only its 11 bytes. */
static __attribute__((noinline)) uint32_t put_options(const struct snapshot *snap,
						      struct request *rq, const struct dns_query *q,
						      uint32_t at, uint16_t rcode, uint16_t ede)
{
	uint8_t *options = rq->payload + at, *p = options, error[EDE_BYTES];

	if (q->has_cookie)
		p = put_option(p, OPTION_COOKIE, q->cookie, DNS_COOKIE_BYTES);
	if (q->nsid)
		p = put_option(p, OPTION_NSID, snap->dns.nsid, snap->dns.nsid_length);
	if (q->zone_version && rcode == RCODE_NOERROR)
		p = put_zone_version(p, snap, q);
	if (q->has_subnet)
		p = put_subnet(p, &q->subnet);
	if (q->report)
		p = put_option(p, OPTION_REPORT, snap->dns.report, snap->dns.report_length);
	if (ede) {
		store_be16(error, ede);
		p = put_option(p, OPTION_EDE, error, EDE_BYTES);
	}
	store_be16(options - 2, (uint16_t)(p - options)); /* RDLENGTH */
	return at + (uint32_t)(p - options);
}

uint32_t dns_opt_put(const struct snapshot *snap, struct request *rq, const struct dns_query *q,
		     uint32_t at, uint16_t rcode, uint16_t ede)
{
	dns_opt_put_fixed(snap, rq, q, rq->payload + at, rcode);
	at += OPT_SIZE;
	if (ede)
		return put_options(snap, rq, q, at, rcode, ede);
	if (q->opt_bytes == OPT_SIZE)
		return at;
	if (q->has_cookie && q->opt_bytes == OPT_SIZE + OPTION_HEADER + DNS_COOKIE_BYTES)
		return at + put_only_cookie(rq->payload + at - 2, q);
	if (q->has_subnet && q->opt_bytes == OPT_SIZE + subnet_size(&q->subnet) &&
	    rq->room - at >= SUBNET_OPTION_MOST)
		return at + put_only_subnet(rq->payload + at - 2, &q->subnet);
	return put_options(snap, rq, q, at, rcode, ede);
}
