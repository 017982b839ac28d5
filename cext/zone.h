/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiled zones: one immutable, position-independent block ("arena") of all zones served,
 * written by xdpkit/dns/arena.py and read in place. Multi-byte integers are little-endian (host
 * order) except inside names and reply images, which are wire format. Offsets are 32-bit, from the
 * start of the arena, in units of ZONE_UNIT bytes; 0 means "none".
 *
 *   zone_arena | zone_entry[zone_count] | nodes and images | zone_bucket[buckets] | ZONE_SLACK
 *
 *   zone_node | zone_type[type_count] | name, zero-padded to 8 | zone_image | zone_image ...
 *
 * Every name that exists is a node in the hash table: owners, empty non-terminals, delegations.
 * What lies below a delegation is not, so the closest encloser (RFC 4592 section 3.3.1) of a
 * missing name says by itself whether the answer is a referral, a wildcard or NXDOMAIN, and of
 * which zone.
 *
 * Thread rule: nothing here is ever written after publication; any number of threads may read.
 */
#ifndef XDPKIT_ZONE_H
#define XDPKIT_ZONE_H

#include <stddef.h>
#include <stdint.h>

#define ZONE_MAGIC   0x616e6f7a74696b78ULL /* "xkitzona" in memory */
#define ZONE_VERSION 1
#define ZONE_UNIT    8
/* zone.c and dns.c copy in 16-byte steps: bytes behind the last image that may be read, not used.
 */
#define ZONE_SLACK 64

#define ZONE_NAME_MAX 255 /* bytes of a wire name with its root label, RFC 1035 section 3.1 */

struct zone_arena {
	uint64_t magic;
	uint32_t version;
	uint32_t node_count;
	uint64_t size;     /* bytes, ZONE_SLACK included */
	uint64_t checksum; /* BLAKE2b-64 of the arena with this field 0; Python checks it */
	uint64_t seed;     /* of the name hash, drawn anew for each arena */
	uint32_t table;    /* struct zone_bucket[buckets], 64-byte aligned */
	uint32_t buckets;  /* at least one of them is not full */
	uint32_t zones;    /* struct zone_entry[zone_count] */
	uint32_t zone_count;
	uint8_t max_labels; /* of any node, the root label not counted */
	uint8_t min_labels; /* of any apex: shorter names are in no zone */
	uint8_t spare[6];
};

struct zone_entry {
	uint32_t apex;     /* struct zone_node; its `fallback` is the NODATA image of the zone */
	uint32_t serial;   /* of the SOA */
	uint32_t nxdomain; /* struct zone_image */
	uint32_t names;    /* owner names in the zone, empty non-terminals not counted */
};

/*
 * One cache line. Tags and nodes apart, so that eight tags compare as two vectors. A used slot's
 * tag is odd, an empty one's 0; slots fill from the front, and a full bucket spills into the next.
 */
#define ZONE_SLOTS 8

struct zone_bucket {
	uint32_t tag[ZONE_SLOTS];
	uint32_t node[ZONE_SLOTS];
};

/* Flags. At a cut `fallback` is the referral, and `types` holds DS or nothing. */
#define ZONE_NODE_APEX  0x01
#define ZONE_NODE_CUT   0x02 /* delegated to another server */
#define ZONE_NODE_ALIAS 0x04 /* owns a CNAME */

struct zone_node {
	uint8_t flags;
	uint8_t name_length;
	uint16_t type_count;
	uint32_t zone;     /* struct zone_entry */
	uint32_t wildcard; /* the node of "*" under this name, a struct zone_node */
	uint32_t fallback; /* the image for every type that is not listed */
};

struct zone_type {
	uint16_t type;
	uint16_t spare;
	uint32_t image;
};

/* How an image's answer is counted; dns.c turns it into a verdict. */
enum zone_kind {
	ZONE_KIND_NOERROR,
	ZONE_KIND_NODATA,
	ZONE_KIND_NXDOMAIN,
	ZONE_KIND_REFERRAL,
	ZONE_KIND_COUNT
};

/*
 * The finished answer, authority and additional sections of a reply, made for a question whose name
 * has `base` bytes. At a longer question each big-endian 16-bit word at the `fixups` positions
 * (uint16_t from the start of the body, behind the body, 2-byte aligned) grows by the difference:
 * they are the compression pointers to anything but the start of the question. Made so that no
 * pointer passes 0x3fff even at the longest question.
 */
struct zone_image {
	uint8_t bits; /* byte 2 of the DNS header: QR, and AA where it is due */
	uint8_t rcode;
	uint8_t counts[6]; /* ANCOUNT, NSCOUNT, ARCOUNT as in the message */
	uint16_t length;   /* of the body, bytes */
	uint16_t fixups;
	uint8_t base;
	uint8_t kind; /* enum zone_kind */
	uint16_t spare;
};

_Static_assert(sizeof(struct zone_arena) == 64, "arena.py: HEADER");
_Static_assert(offsetof(struct zone_arena, checksum) == 24, "arena.py: HEADER");
_Static_assert(offsetof(struct zone_arena, max_labels) == 56, "arena.py: HEADER");
_Static_assert(sizeof(struct zone_entry) == 16, "arena.py: ENTRY");
_Static_assert(sizeof(struct zone_bucket) == 64, "one cache line");
_Static_assert(sizeof(struct zone_node) == 16, "arena.py: NODE");
_Static_assert(sizeof(struct zone_type) == 8, "arena.py: TYPE");
_Static_assert(sizeof(struct zone_image) == 16, "images.py: IMAGE");
_Static_assert(offsetof(struct zone_image, length) == 8, "images.py: IMAGE");

/* A name to look up: lower-cased wire format, and behind it zeros for hashing in whole words. */
struct zone_name {
	uint64_t word[ZONE_NAME_MAX / 8 + 2];
	uint64_t hash;
	uint32_t length;
	uint32_t labels; /* the root label not counted */
	uint32_t likely; /* the node that zone_prefetch_node() saw the tag of, or 0 */
};

/* 0 if `base` holds an arena of this version in `size` bytes and its geometry is sound, else -1. */
int zone_open(const void *base, size_t size);

/*
 * Takes the uncompressed name of `length` bytes and `labels` labels at `wire` over into `name`,
 * lower-cased and hashed. Reads the 7 bytes in front of `wire` too (part of the DNS header).
 */
void zone_name_set(struct zone_name *name, const struct zone_arena *arena, const uint8_t *wire,
		   uint32_t length, uint32_t labels);

/*
 * Brings the bucket of a name, then the node that its tag promises, into the cache: a batch of
 * look-ups in a large arena waits for memory once, not twice for each.
 */
void zone_prefetch_bucket(const struct zone_arena *arena, const struct zone_name *name);
void zone_prefetch_node(const struct zone_arena *arena, struct zone_name *name);

/* The node of exactly this name, or NULL. */
const struct zone_node *zone_find(const struct zone_arena *arena, const struct zone_name *name);

/* The closest encloser of a name that zone_find() did not find, or NULL: in no zone. */
const struct zone_node *zone_encloser(const struct zone_arena *arena, const struct zone_name *name);

/* The node's image for a type; ANY (RFC 8482 section 4.1) gets one RRset. Never NULL. */
const struct zone_image *zone_image(const struct zone_arena *arena, const struct zone_node *node,
				    uint16_t type);

static inline const void *zone_at(const struct zone_arena *arena, uint32_t offset)
{
	return (const char *)arena + (size_t)offset * ZONE_UNIT;
}

#endif
