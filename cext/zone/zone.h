/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A compiled zone: one immutable, position-independent block ("arena"), written by the compiler of
 * xdpkit.services.dns and read in place. Multi-byte integers are little-endian (host order) except
 * inside names and reply images, which are wire format. Offsets are 32-bit, from the start of the
 * arena, in units of ZONE_UNIT bytes; 0 means "none".
 *
 *   zone_arena | zone_bucket[buckets] | the zone | nodes | ZONE_SLACK
 *
 *   the zone: zone_image, zone_image | if it is signed: zone_part ..., chain, zone_hashing
 *   a node: zone_node | zone_type[type_count] | name, zero-padded to 8 | zone_image ...
 *
 * Nothing in it refers to another zone: zone/directory.h finds the zone of a name, and what leads
 * out of one, such as an alias, is followed when it is asked for (dns/compose.h).
 *
 * Every name that exists is a node in the hash table: owners, empty non-terminals, delegations.
 * Names below a delegation are not, so the closest encloser (RFC 4592 section 3.3.1) of a missing
 * name alone determines whether the answer is a referral, a wildcard or NXDOMAIN.
 *
 * Threads: nothing here is ever written once it is published; any number of threads may read.
 */
#ifndef XDPKIT_ZONE_H
#define XDPKIT_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zone/table.h"

#define ZONE_MAGIC   0x616e6f7a74696b78ULL /* "xkitzona" in memory */
#define ZONE_VERSION 5
#define ZONE_UNIT    8
/* dns/image.h copies in 16-byte steps: bytes after the last image that may be read, not used. */
#define ZONE_SLACK 64

/*
 * What knotd, nsd and named still serve. It bounds the work that a question can cause: each label
 * of a name costs a hash, and each iteration another. The default of max_nsec3_iterations is
 * smaller.
 */
#define ZONE_ITERATIONS_MAX 150

#define ZONE_NAME_MAX 255 /* bytes of a wire name with its root label, RFC 1035 section 3.1 */

/* Names are copied in 16-byte steps: bytes after one that may be read, not used. */
#define ZONE_NAME_SLACK 15

struct zone_arena {
	uint64_t magic;
	uint32_t version;
	uint32_t node_count;
	uint64_t size;     /* bytes, ZONE_SLACK included */
	uint64_t checksum; /* zone/checksum.h, of the arena with this field 0 */
	uint64_t seed;     /* of the name hash, random for each arena */
	uint32_t buckets;  /* of the table; at least one of them is not full */
	uint32_t apex;     /* struct zone_node */
	uint32_t serial;   /* of the SOA */
	uint32_t names;    /* owner names in the zone, empty non-terminals not counted */
	uint32_t nxdomain; /* struct zone_image */
	uint32_t nodata;   /* struct zone_image */
	uint32_t chain; /* uint32_t or struct zone_hashed[links]; 0 in a zone that is not signed */
	uint32_t links;
	uint32_t hashing;   /* struct zone_hashing; 0 when the chain is of NSEC */
	uint8_t max_labels; /* of any node, the root label not counted */
	uint8_t min_labels; /* of the apex */
	uint8_t spare[2];
	uint32_t geo;     /* struct geo_zone (geo/choice.h); 0: no answer depends on the client */
	uint32_t slot;    /* of its counts in a thread (dns/counts.h), set when it is loaded */
	uint8_t rest[40]; /* so that the table after it begins a cache line */
};

/*
 * One proof, an NSEC or NSEC3 RRset and its signatures, for any message whose question ends in the
 * zone's name. After it: `key` bytes of sort key (NSEC only), `labels` bytes of the owner's labels
 * below the zone's name, and the records without their owner, big-endian.
 */
struct zone_part {
	uint16_t size; /* in a message, with compressed owner names */
	uint16_t records;
	uint16_t key;
	uint16_t labels;
};

/* An NSEC chain is part offsets in canonical order (RFC 4034 section 6.1), an NSEC3 chain these. */
struct zone_hashed {
	uint8_t hash[20];
	uint32_t part;
};

/* How names are hashed, RFC 5155 section 3.1; the salt follows. */
struct zone_hashing {
	uint16_t iterations;
	uint8_t salt_length;
	uint8_t spare;
};

/*
 * Precedes each node of a signed zone: struct zone_part offsets. `match` proves the types that a
 * name has, `cover` that no wildcard is below it. At a cut, and with ZONE_NODE_UNPROVEN, `match` is
 * that of an ancestor if opt-out omitted this name, and `cover` proves it (RFC 5155 section 7.2.4).
 */
struct zone_denial {
	uint32_t match;
	uint32_t cover;
	uint32_t provable; /* with ZONE_NODE_UNPROVEN: ancestor (struct zone_node) that has an NSEC3
			    */
	uint32_t spare;
};

/*
 * Flags. At a cut `fallback` is the referral, and `types` holds DS or nothing. At an alias it is
 * the image of the CNAME, whose first record that is.
 *
 * With ZONE_NODE_GEO some of `types` have ZONE_TYPE_CHOICE: their offset is that of a choice
 * (geo/choice.h), which begins with that of an image. With ZONE_NODE_CHOICE `fallback` is that of a
 * choice, too. ANY is a type as any other there. Neither is a cut, an alias or a DNAME.
 */
#define ZONE_NODE_APEX     0x01
#define ZONE_NODE_CUT      0x02 /* delegated to another server */
#define ZONE_NODE_ALIAS    0x04 /* owns a CNAME */
#define ZONE_NODE_DNAME    0x08 /* owns a DNAME: nothing is below it */
#define ZONE_NODE_UNPROVEN 0x10 /* has no NSEC3 of its own */
#define ZONE_NODE_GEO      0x20 /* has choices; only in an arena with `geo` */
#define ZONE_NODE_CHOICE   0x40 /* with ZONE_NODE_GEO: `fallback` is one */

struct zone_node {
	uint8_t flags;
	uint8_t name_length;
	uint16_t type_count;
	uint32_t wildcard; /* the node of "*" under this name, a struct zone_node */
	uint32_t fallback; /* the image for every type not in the list */
	uint32_t at;       /* its own offset: a node may be found without its arena */
};

/* In `flags` of a zone_type. */
#define ZONE_TYPE_CHOICE 1 /* at a node with ZONE_NODE_GEO: `image` is a choice's offset */

struct zone_type {
	uint16_t type;
	uint16_t flags;
	uint32_t image;
};

/* The kind of answer that an image is; dns/image.h maps it to a verdict. */
enum zone_kind {
	ZONE_KIND_NOERROR,
	ZONE_KIND_NODATA,
	ZONE_KIND_NXDOMAIN,
	ZONE_KIND_REFERRAL,
	ZONE_KIND_TRUNCATED, /* no message holds the answer: TC, and no records */
	ZONE_KIND_COUNT
};

/*
 * The finished answer, authority and additional sections of a reply, made for a question whose name
 * has `base` bytes. With a longer question, each big-endian 16-bit word at the `fixups` positions
 * (uint16_t from the start of the body, stored after the body, 2-byte aligned) grows by the
 * difference: they are the compression pointers to anything but the start of the question. No
 * pointer exceeds 0x3fff even with the longest question.
 */
struct zone_image {
	uint8_t bits; /* byte 2 of the DNS header: QR, and AA if authoritative */
	uint8_t rcode;
	uint8_t counts[6];  /* ANCOUNT, NSCOUNT, ARCOUNT as in the message */
	uint16_t length;    /* of the body, bytes */
	uint16_t trimmed;   /* length without the additional records that may be left out */
	uint16_t authority; /* length without any additional records */
	uint16_t fixups;
	uint8_t base;
	uint8_t kind;    /* enum zone_kind */
	uint16_t glue;   /* ARCOUNT of the trimmed body */
	uint32_t secure; /* struct zone_image: the one for a question with DO; 0: the same */
};

_Static_assert(sizeof(struct zone_arena) == 128, "arena.py: HEADER");
_Static_assert(offsetof(struct zone_arena, checksum) == 24, "arena.py: HEADER");
_Static_assert(offsetof(struct zone_arena, max_labels) == 76, "arena.py: HEADER");
_Static_assert(offsetof(struct zone_arena, geo) == 80, "arena.py: HEADER");
_Static_assert(sizeof(struct zone_node) == 16, "arena.py: NODE");
_Static_assert(sizeof(struct zone_type) == 8, "arena.py: TYPE");
_Static_assert(sizeof(struct zone_image) == 24, "arena.py: IMAGE");
_Static_assert(offsetof(struct zone_image, length) == 8, "arena.py: IMAGE");
_Static_assert(offsetof(struct zone_image, secure) == 20, "arena.py: IMAGE");
_Static_assert(sizeof(struct zone_hashed) == 24, "_zone_denial.pyx: a hash and an offset");
_Static_assert(sizeof(struct zone_denial) % ZONE_UNIT == 0, "a node follows it");

/* A name to look up: lower-cased wire format, zero-padded for hashing in whole words. */
struct zone_name {
	uint64_t word[(ZONE_NAME_MAX + 1 + ZONE_NAME_SLACK + 8) / 8];
	uint64_t hash;
	uint32_t length;
	uint32_t labels; /* the root label not counted */
	uint32_t likely; /* the node whose tag a search found (zone/directory.h), or 0 */
};

/* 0 if `base` holds an arena of this version in `size` bytes with a valid layout, else -1. */
int zone_open(const void *base, size_t size);

static inline const void *zone_at(const struct zone_arena *arena, uint32_t offset)
{
	return (const char *)arena + (size_t)offset * ZONE_UNIT;
}

/* The arena of a node. */
static inline const struct zone_arena *zone_of(const struct zone_node *node)
{
	return (const struct zone_arena *)((const char *)node - (size_t)node->at * ZONE_UNIT);
}

static inline const uint8_t *zone_node_name(const struct zone_node *node)
{
	return (const uint8_t *)(node + 1) + node->type_count * sizeof(struct zone_type);
}

static inline bool zone_has_name(const struct zone_node *node, const uint8_t *name, uint32_t length)
{
	return node->name_length == length && table_same_name(zone_node_name(node), name, length);
}

static inline const struct zone_bucket *zone_table(const struct zone_arena *arena)
{
	return (const struct zone_bucket *)(arena + 1);
}

/*
 * Copies the uncompressed name of `length` bytes and `labels` labels at `wire` into `name`,
 * lower-cased. Also reads up to ZONE_NAME_SLACK bytes after it.
 */
void zone_name_set(struct zone_name *name, const uint8_t *wire, uint32_t length, uint32_t labels);

/* The labels of an uncompressed name, the root label not counted. */
static inline uint32_t zone_label_count(const uint8_t *name)
{
	uint32_t labels = 0;

	for (; *name; name += *name + 1)
		labels++;
	return labels;
}

/* The length of an uncompressed name of at most `room` bytes; 0 if it does not end there. */
static inline uint32_t zone_wire_name_length(const uint8_t *name, uint64_t room)
{
	uint32_t at = 0;

	while (at < room && at < ZONE_NAME_MAX && name[at] < 64) {
		if (!name[at])
			return at + 1;
		at += name[at] + 1u;
	}
	return 0;
}

/* Hashes it for the arena with this seed; before any lookup there. */
void zone_name_hash(struct zone_name *name, uint64_t seed);

/* The node of exactly this name, or NULL. */
const struct zone_node *zone_find(const struct zone_arena *arena, const struct zone_name *name);

/* The closest encloser of a name that zone_find() did not find, or NULL: not in the zone. */
const struct zone_node *zone_encloser(const struct zone_arena *arena, const struct zone_name *name);

/*
 * The node's image for a type; for ANY (RFC 8482 section 4.1), one RRset. Never NULL. Not for a
 * node with ZONE_NODE_GEO: zone_lookup() is.
 */
const struct zone_image *zone_image(const struct zone_arena *arena, const struct zone_node *node,
				    uint16_t type);

struct geo_serving; /* geo/serving.h */

/* What a question leads to in a zone. */
struct zone_lookup {
	const struct zone_arena *arena;
	const struct zone_node *node; /* whose records apply: the name's, a wildcard's ... */
	const struct zone_node
		*encloser;              /* the closest one of a name that does not exist, or NULL */
	const struct zone_image *image; /* with a choice: the one when it yields nothing */
	uint32_t choice;                /* offset of the choice (geo/choice.h) that decides, or 0 */
	const struct geo_serving *geo;  /* what it is made with; zone_lookup() does not set it */
};

/*
 * Finds the image for a name and type, `node` being the result of zone_find() for it: RFC 1034
 * section 4.3.2, as the compiler precomputed it. False if the name is not in the zone.
 */
bool zone_lookup(const struct zone_arena *arena, const struct zone_node *node,
		 const struct zone_name *name, uint16_t type, struct zone_lookup *lookup);

#endif
