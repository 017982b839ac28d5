// SPDX-License-Identifier: Apache-2.0
#include "dns/compose.h"

#include "dns/image.h"
#include "dns/message.h"
#include "dns/rdata.h"
#include "dns/wire.h"
#include "zone/denial.h"

#define AA 0x04 /* in byte 2 of the header, RFC 1035 section 4.1.1 */

/* A reply being written. Offsets are from the start of the header. */
struct composer {
	uint8_t *p;
	uint32_t at;       /* end of what has been written */
	uint32_t limit;    /* dns_size_limit() */
	uint32_t name_at;  /* the name being looked up, uncompressed */
	uint32_t length;   /* of it */
	uint32_t owner_at; /* target of the image's pointers to its question's name */
	uint32_t body_at;  /* where the image's body begins */
	uint32_t base;     /* the image's */
	uint16_t counts[3];
};

static void begin_image(struct composer *c, const struct zone_image *image, uint32_t owner_at)
{
	c->base = image->base;
	c->body_at = c->at;
	c->owner_at = owner_at;
}

/* The offset in the message that a pointer of the image must have there. */
static uint32_t relocated(const struct composer *c, uint32_t pointer)
{
	uint32_t body = HEADER_SIZE + c->base + 4;

	if (pointer == HEADER_SIZE)
		return c->owner_at;
	if (pointer < body)
		return c->name_at + c->length - c->base + pointer - HEADER_SIZE;
	return c->body_at + pointer - body;
}

static const uint8_t *copy(struct composer *c, const uint8_t *from, uint32_t length)
{
	memcpy(c->p + c->at, from, length);
	c->at += length;
	return from + length;
}

static void put_pointer(struct composer *c, uint32_t to)
{
	store_be16(c->p + c->at, (uint16_t)(POINTER | to));
	c->at += 2;
}

static const uint8_t *copy_name(struct composer *c, const uint8_t *from)
{
	while (*from && *from < POINTER >> 8)
		from = copy(c, from, *from + 1u);
	if (!*from)
		return copy(c, from, 1);
	put_pointer(c, relocated(c, load_be16(from) & POINTER_MAX));
	return from + 2;
}

/* Copies the records of an image's body from `from` to `to`, relocating pointers. */
static void copy_records(struct composer *c, const struct zone_image *image, uint32_t from,
			 uint32_t to)
{
	const uint8_t *record = (const uint8_t *)(image + 1) + from;
	const uint8_t *end = (const uint8_t *)(image + 1) + to;

	while (record < end) {
		const uint8_t *fixed = copy_name(c, record), *next;
		uint32_t skip, names;

		next = fixed + RR_FIXED + load_be16(fixed + 8);
		dns_names_of_type(load_be16(fixed), &skip, &names);
		record = copy(c, fixed, RR_FIXED + skip);
		while (names--)
			record = copy_name(c, record);
		record = copy(c, record, (uint32_t)(next - record));
	}
}

/* -------------------------------------------------------------------------------------------- */

/* Size of the proofs at their offset: beyond a pointer's reach owner names are written out. */
static uint32_t proof_size(const struct zone_proof *proof, uint32_t at)
{
	uint32_t size = proof->size;

	if (at + size <= POINTER_MAX)
		return size;
	for (uint32_t i = 0; i < proof->count; i++)
		size += proof->part[i]->labels * (proof->part[i]->records - 1u);
	return size;
}

static void copy_proof(struct composer *c, const struct zone_proof *proof, uint32_t apex_at)
{
	bool far = c->at + proof->size > POINTER_MAX;

	for (uint32_t i = 0; i < proof->count; i++) {
		const struct zone_part *part = proof->part[i];
		const uint8_t *labels = (const uint8_t *)(part + 1) + part->key;
		const uint8_t *record = labels + part->labels;
		uint32_t owner_at = c->at;

		for (uint32_t n = 0; n < part->records; n++) {
			if (n && !far) {
				put_pointer(c, owner_at);
			} else {
				copy(c, labels, part->labels);
				put_pointer(c, apex_at);
			}
			record = copy(c, record, RR_FIXED + load_be16(record + 8));
		}
		c->counts[1] += part->records;
	}
}

/* The proofs that C must add to a lookup result in a signed zone; the images have the rest. */
static void prove(const struct zone_arena *arena, const struct zone_lookup *lookup,
		  const struct zone_image *secure, const struct zone_name *name,
		  struct zone_proof *proof)
{
	const struct zone_entry *zone = zone_at(arena, lookup->node->zone);
	bool nodata = lookup->image == zone_at(arena, zone->nodata);

	proof->count = 0;
	proof->size = 0;
	/* An unsigned zone has images with proofs if an alias leads to a signed one. */
	if (!zone->chain)
		return;
	if (lookup->node != lookup->encloser && lookup->encloser)
		zone_prove_wildcard(arena, lookup->encloser, name, nodata, secure, proof);
	else if (nodata)
		zone_prove_nodata(arena, lookup->node, proof);
	else if (lookup->image == zone_at(arena, zone->nxdomain))
		zone_prove_missing(arena, lookup->encloser, name, proof);
}

/* -------------------------------------------------------------------------------------------- */

static void put_counts(const struct composer *c)
{
	for (uint32_t i = 0; i < 3; i++)
		store_be16(c->p + 6 + i * 2, c->counts[i]);
}

static enum verdict truncated(const struct snapshot *snap, struct request *rq,
			      const struct dns_query *q, const struct zone_image *image,
			      uint8_t bits)
{
	return dns_question_only(snap, rq, q, bits | BITS2_TC, image->rcode, 0,
				 VERDICT_dns_truncated);
}

/* Whether an image was made for a name at or above the question's: denials, referrals. */
static bool is_shared(const struct snapshot *snap, const struct zone_entry *zone,
		      const struct zone_lookup *lookup)
{
	return lookup->image->kind == ZONE_KIND_REFERRAL ||
	       lookup->image == zone_at(snap->zones, zone->nodata) ||
	       lookup->image == zone_at(snap->zones, zone->nxdomain);
}

/* Adds the last image of a reply, its proofs between authority and additional section. */
static enum verdict finish_with_image(const struct snapshot *snap, struct request *rq,
				      const struct dns_query *q, struct composer *c,
				      const struct zone_lookup *lookup,
				      const struct zone_image *image,
				      const struct zone_proof *proof)
{
	const struct zone_entry *zone = zone_at(snap->zones, lookup->node->zone);
	const struct zone_node *apex = zone_at(snap->zones, zone->apex);
	uint8_t bits = image->bits | (c->at == q->end ? 0 : AA);
	uint32_t size = proof_size(proof, c->at + image->authority);
	uint32_t length = image->length, glue = load_be16(image->counts + 4);

	if (c->at + length + size > c->limit) {
		length = image->trimmed;
		glue = image->glue;
	}
	if (c->at + length + size > c->limit)
		return truncated(snap, rq, q, image, bits);
	c->counts[0] += load_be16(image->counts);
	c->counts[1] += load_be16(image->counts + 2);
	c->counts[2] += glue;
	begin_image(c, image,
		    c->name_at + (is_shared(snap, zone, lookup) ? c->length - image->base : 0));
	copy_records(c, image, 0, image->authority);
	copy_proof(c, proof, c->name_at + c->length - apex->name_length);
	copy_records(c, image, image->authority, length);
	put_counts(c);
	/* AA is about the first owner name, so an alias chain that ends at a cut is an answer. */
	return dns_finish(snap, rq, q, c->at, bits, image->rcode,
			  image->kind == ZONE_KIND_REFERRAL && bits & AA ? VERDICT_dns_noerror
									 : dns_verdict(image));
}

/* The CNAME synthesized for a name below a DNAME. */
static void put_cname(struct composer *c, const uint8_t *dname, uint32_t prefix, uint32_t target)
{
	const uint8_t *from = c->p + c->name_at;

	put_pointer(c, c->name_at);
	/* Class and TTL are the DNAME's, RFC 6672 section 3.1. */
	store_be16(c->p + c->at, TYPE_CNAME);
	memcpy(c->p + c->at + 2, dname + 2, 6);
	store_be16(c->p + c->at + 8, (uint16_t)(prefix + target));
	c->at += RR_FIXED;
	c->name_at = c->at;
	c->length = prefix + target;
	copy(c, from, prefix);
	copy(c, dname + RR_FIXED, target);
	c->counts[0]++;
}

static uint32_t label_count(const uint8_t *name)
{
	uint32_t labels = 0;

	for (; *name; name += *name + 1)
		labels++;
	return labels;
}

/* Follows DNAMEs from `lookup` on, until the chain ends at another image or leaves our zones. */
static enum verdict follow(const struct snapshot *snap, struct request *rq,
			   const struct dns_query *q, struct composer *c,
			   struct zone_lookup *lookup)
{
	const struct zone_arena *arena = snap->zones;
	const struct zone_node *seen[DNS_ALIASES_MAX];
	const struct zone_image *image;
	const struct zone_name *name = &q->name;
	struct zone_proof proof = {0};
	struct zone_name target_name;

	for (uint32_t steps = 0;; steps++) {
		const struct zone_node *node = lookup->encloser;
		const uint8_t *dname;
		uint32_t prefix, target, index = 0;

		image = lookup->image;
		if (q->edns_flags && image->secure)
			image = zone_at(arena, image->secure);
		if (!node || !(node->flags & ZONE_NODE_DNAME)) {
			if (image != lookup->image)
				prove(arena, lookup, image, name, &proof);
			return finish_with_image(snap, rq, q, c, lookup, image, &proof);
		}
		/* Seen before: it would only loop, or lead to ever longer names. */
		while (index < steps && seen[index] != node)
			index++;
		if (index < steps || steps == DNS_ALIASES_MAX)
			break;
		seen[steps] = node;

		/* The DNAME is the first record; its owner is a pointer. */
		dname = (const uint8_t *)(image + 1) + 2;
		target = load_be16(dname + 8);
		prefix = c->length - node->name_length;
		if (c->at + image->length > c->limit)
			return truncated(snap, rq, q, image, BITS2_QR | AA);
		begin_image(c, image, c->name_at + prefix);
		copy_records(c, image, 0, image->length);
		c->counts[0] += load_be16(image->counts);
		if (prefix + target > ZONE_NAME_MAX) {
			put_counts(c);
			return dns_finish(snap, rq, q, c->at, BITS2_QR | AA, RCODE_YXDOMAIN,
					  VERDICT_dns_yxdomain);
		}
		if (c->at + 2 + RR_FIXED + prefix + target > c->limit)
			return truncated(snap, rq, q, image, BITS2_QR | AA);
		put_cname(c, dname, prefix, target);
		/* The CNAME is the answer itself, or the one RRset of RFC 8482 section 4.1. */
		if (q->type == TYPE_CNAME || q->type == TYPE_ANY || c->at >= DNS_ALIASES_END)
			break;
		zone_name_set(&target_name, arena, c->p + c->name_at, c->length,
			      label_count(c->p + c->name_at));
		name = &target_name;
		if (!zone_lookup(arena, zone_find(arena, name), name, q->type, lookup))
			break;
	}
	put_counts(c);
	return dns_finish(snap, rq, q, c->at, BITS2_QR | AA, RCODE_NOERROR, VERDICT_dns_noerror);
}

enum verdict dns_compose(const struct snapshot *snap, struct request *rq, const struct dns_query *q,
			 struct zone_lookup *lookup)
{
	struct composer c = {
		.p = rq->payload,
		.at = q->end,
		.limit = dns_size_limit(snap, rq, q),
		.name_at = HEADER_SIZE,
		.length = q->name.length,
	};
	const struct zone_image *image = lookup->image;
	struct zone_proof proof;

	if (lookup->encloser && lookup->encloser->flags & ZONE_NODE_DNAME)
		return follow(snap, rq, q, &c, lookup);
	if (!image->secure)
		return dns_reply_image(snap, rq, q, image);
	image = zone_at(snap->zones, image->secure);
	prove(snap->zones, lookup, image, &q->name, &proof);
	if (!proof.count)
		return dns_reply_image(snap, rq, q, image);
	return finish_with_image(snap, rq, q, &c, lookup, image, &proof);
}
