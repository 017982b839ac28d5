// SPDX-License-Identifier: Apache-2.0
#include "dns/compose.h"

#include <string.h>

#include "dns/choice.h"
#include "dns/image.h"
#include "dns/message.h"
#include "dns/rdata.h"
#include "dns/wire.h"
#include "zone/denial.h"
#include "zone/directory.h"

/* A reply being written. Offsets are from the start of the header. */
struct composer {
	uint8_t *p;
	uint32_t at;       /* end of what has been written */
	uint32_t limit;    /* dns_size_limit() */
	uint32_t owner_at; /* target of the image's pointers to its question's name */
	uint32_t body_at;  /* where the image's body begins */
	uint32_t base;     /* the image's */
	uint16_t counts[3];
	uint16_t apex_at[ZONE_PROOF_MAX]; /* the zone's name, for each part of the proof */
	struct zone_proof proof;
	uint32_t length; /* of the name being looked up */
	uint8_t name[ZONE_NAME_MAX + 1 + ZONE_NAME_SLACK];
	uint16_t name_at[ZONE_NAME_MAX + 1]; /* where each of its bytes is in the message */
};

/*
 * Takes the name at an offset as the one being looked up: it may end in pointers. False if it is
 * no name that was written before.
 */
static bool set_name(struct composer *c, uint32_t at)
{
	uint32_t length = 0;

	for (;;) {
		uint32_t label = at < c->at ? c->p[at] : POINTER >> 8;

		if (label >= POINTER >> 8) {
			uint32_t from = at;

			if (at + 2 > c->at)
				return false;
			at = load_be16(c->p + at) & POINTER_MAX;
			if (at >= from)
				return false;
			continue;
		}
		if (at + label + 1 > c->at || length + label + 1 > ZONE_NAME_MAX)
			return false;
		memcpy(c->name + length, c->p + at, label + 1);
		for (uint32_t end = length + label; length <= end;)
			c->name_at[length++] = (uint16_t)at++;
		if (!label)
			break;
	}
	c->length = length;
	return true;
}

static void begin_image(struct composer *c, const struct zone_image *image, uint32_t owner_at)
{
	c->base = image->base;
	c->body_at = c->at;
	c->owner_at = owner_at;
}

/* The offset in the message that a pointer of the image must have there. */
static uint32_t relocated(const struct composer *c, uint32_t pointer)
{
	uint32_t question = HEADER_SIZE + c->base;

	if (pointer == HEADER_SIZE)
		return c->owner_at;
	/* The apex is shorter than the names that a choice's image is made for. */
	if (pointer < question && c->length + pointer < question)
		return c->owner_at;
	if (pointer < question)
		return c->name_at[c->length + pointer - question];
	return c->body_at + pointer - (question + 4);
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

static void copy_proof(struct composer *c)
{
	const struct zone_proof *proof = &c->proof;
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
				put_pointer(c, c->apex_at[i]);
			}
			record = copy(c, record, RR_FIXED + load_be16(record + 8));
		}
		c->counts[1] += part->records;
	}
}

/* Adds the proofs that the result of a lookup in a signed zone needs; the images have the rest. */
static void prove(struct composer *c, const struct zone_lookup *lookup,
		  const struct zone_name *name)
{
	const struct zone_arena *arena = lookup->arena;
	const struct zone_node *apex = zone_at(arena, arena->apex);
	bool nodata = lookup->image == zone_at(arena, arena->nodata);
	uint32_t before = c->proof.count;

	if (!arena->chain)
		return;
	if (lookup->node != lookup->encloser && lookup->encloser)
		zone_prove_wildcard(arena, lookup->encloser, name, nodata, &c->proof);
	else if (nodata)
		zone_prove_nodata(arena, lookup->node, &c->proof);
	else if (lookup->image == zone_at(arena, arena->nxdomain))
		zone_prove_missing(arena, lookup->encloser, name, &c->proof);
	while (before < c->proof.count)
		c->apex_at[before++] = c->name_at[c->length - apex->name_length];
}

/* Whether prove() may have something to add. */
static bool may_need_proof(const struct zone_lookup *lookup)
{
	const struct zone_arena *arena = lookup->arena;

	return arena->chain && (lookup->encloser || lookup->image == zone_at(arena, arena->nodata));
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
static bool is_shared(const struct zone_lookup *lookup)
{
	const struct zone_arena *arena = lookup->arena;

	return lookup->image->kind == ZONE_KIND_REFERRAL ||
	       lookup->image == zone_at(arena, arena->nodata) ||
	       lookup->image == zone_at(arena, arena->nxdomain);
}

/* Adds the addresses of a referral that fit; returns their number. */
static uint16_t copy_glue(struct composer *c, const struct zone_image *image)
{
	uint32_t at = image->authority, end;
	uint16_t records = 0;

	for (; (end = dns_glue_next(image, &at, c->limit - c->at)); at = end, records++)
		copy_records(c, image, at, end);
	return records;
}

/* Adds the last image of a reply, its proofs between authority and additional section. */
static enum verdict finish_with_image(const struct snapshot *snap, struct request *rq,
				      const struct dns_query *q, struct composer *c,
				      const struct zone_lookup *lookup,
				      const struct zone_image *image)
{
	uint8_t bits = image->bits | (c->at == q->end ? 0 : BITS2_AA);
	enum verdict verdict = dns_verdict(image);
	uint32_t size = proof_size(&c->proof, c->at + image->authority);
	uint32_t length = image->length, before = c->at + size;
	uint16_t glue = load_be16(image->counts + 4);
	bool whole;

	if (before + length > c->limit) {
		length = image->trimmed;
		glue = image->glue;
	}
	whole = before + length <= c->limit;
	if (!whole) {
		if (image->authority == length || before + image->authority > c->limit)
			return truncated(snap, rq, q, image, bits);
		bits |= BITS2_TC;
	}
	c->counts[0] += load_be16(image->counts);
	c->counts[1] += load_be16(image->counts + 2);
	begin_image(c, image, c->name_at[is_shared(lookup) ? c->length - image->base : 0]);
	copy_records(c, image, 0, image->authority);
	copy_proof(c);
	if (whole)
		copy_records(c, image, image->authority, length);
	else
		glue = copy_glue(c, image);
	c->counts[2] += glue;
	put_counts(c);
	/* AA is about the first owner name, so an alias chain that ends at a cut is an answer. */
	if (!whole)
		verdict = VERDICT_dns_truncated;
	else if (image->kind == ZONE_KIND_REFERRAL && bits & BITS2_AA)
		verdict = VERDICT_dns_noerror;
	return dns_finish(snap, rq, q, c->at, bits, image->rcode, verdict);
}

/* Ends a reply that consists of aliases only. */
static enum verdict finish_aliases(const struct snapshot *snap, struct request *rq,
				   const struct dns_query *q, struct composer *c,
				   const struct zone_image *image, uint8_t rcode)
{
	if (c->at + proof_size(&c->proof, c->at) > c->limit)
		return truncated(snap, rq, q, image, BITS2_QR | BITS2_AA);
	copy_proof(c);
	put_counts(c);
	return dns_finish(snap, rq, q, c->at, BITS2_QR | BITS2_AA, rcode,
			  rcode == RCODE_YXDOMAIN ? VERDICT_dns_yxdomain : VERDICT_dns_noerror);
}

/* -------------------------------------------------------------------------------------------- */

/* The CNAME synthesized for a name below a DNAME. */
static void put_cname(struct composer *c, const uint8_t *dname, uint32_t prefix, uint32_t target)
{
	put_pointer(c, c->name_at[0]);
	/* Class and TTL are the DNAME's, RFC 6672 section 3.1. */
	store_be16(c->p + c->at, TYPE_CNAME);
	memcpy(c->p + c->at + 2, dname + 2, 6);
	store_be16(c->p + c->at + 8, (uint16_t)(prefix + target));
	c->at += RR_FIXED;
	copy(c, c->name, prefix);
	copy(c, dname + RR_FIXED, target);
	c->counts[0]++;
}

/* What one step along an alias led to. */
enum step {
	STEP_ON,        /* the target is the name to look up next */
	STEP_END,       /* the answer is what was written */
	STEP_TOO_LONG,  /* the target would be no name: YXDOMAIN, RFC 6672 section 2.2 */
	STEP_TRUNCATED, /* no room */
};

/* Writes the DNAME above the name, and the CNAME that it makes. */
static enum step step_dname(struct composer *c, const struct zone_lookup *lookup,
			    const struct zone_image *image)
{
	/* The DNAME is the first record; its owner is a pointer. */
	const uint8_t *dname = (const uint8_t *)(image + 1) + 2;
	uint32_t target = load_be16(dname + 8);
	uint32_t prefix = c->length - lookup->encloser->name_length;
	uint32_t cname_at;

	if (c->at + image->length > c->limit)
		return STEP_TRUNCATED;
	begin_image(c, image, c->name_at[prefix]);
	copy_records(c, image, 0, image->length);
	c->counts[0] += load_be16(image->counts);
	if (prefix + target > ZONE_NAME_MAX)
		return STEP_TOO_LONG;
	if (c->at + 2 + RR_FIXED + prefix + target > c->limit)
		return STEP_TRUNCATED;
	cname_at = c->at;
	put_cname(c, dname, prefix, target);
	return set_name(c, cname_at + 2 + RR_FIXED) ? STEP_ON : STEP_END;
}

/* Writes the CNAME of the name, or of the wildcard that it is expanded from. */
static enum step step_cname(struct composer *c, const struct zone_lookup *lookup,
			    const struct zone_image *image, const struct zone_name *name,
			    bool dnssec)
{
	uint32_t cname_at = c->at;

	if (c->at + image->authority > c->limit)
		return STEP_TRUNCATED;
	begin_image(c, image, c->name_at[0]);
	copy_records(c, image, 0, image->authority);
	c->counts[0] += load_be16(image->counts);
	if (dnssec)
		prove(c, lookup, name);
	/* Its owner is a pointer, as the arena's check made sure. */
	return set_name(c, cname_at + 2 + RR_FIXED) ? STEP_ON : STEP_END;
}

/* Whether the name is below a DNAME. */
static bool is_below_dname(const struct zone_lookup *lookup)
{
	return lookup->encloser && lookup->encloser->flags & ZONE_NODE_DNAME;
}

/* Whether the name is an alias that leads on: not if the question is for the CNAME itself. */
static bool is_alias(const struct zone_lookup *lookup, uint16_t type)
{
	if (type == TYPE_CNAME || type == TYPE_ANY)
		return false;
	if (lookup->choice)
		return dns_chose_alias(lookup);
	return lookup->node->flags & ZONE_NODE_ALIAS &&
	       lookup->image == zone_at(lookup->arena, lookup->node->fallback);
}

/* An alias that was followed. Names that the same wildcard makes differ in their hash. */
struct followed {
	const struct zone_node *node;
	uint64_t hash;
};

/* Adds an alias to those followed; false if it is there: it would only loop. */
static bool is_new(struct followed *seen, uint32_t count, const struct zone_lookup *lookup,
		   const struct zone_name *name)
{
	/* Below a DNAME, names would only become longer. */
	struct followed alias = {lookup->node, is_below_dname(lookup) ? 0 : name->hash};

	for (uint32_t i = 0; i < count; i++)
		if (seen[i].node == alias.node && seen[i].hash == alias.hash)
			return false;
	seen[count] = alias;
	return true;
}

/*
 * Ends a reply with records that are drawn. Nothing proves anything in a zone with choices, but the
 * aliases that lead there may be signed.
 */
static enum verdict finish_with_draw(const struct snapshot *snap, struct thread_state *state,
				     struct request *rq, const struct dns_query *q,
				     struct composer *c, const struct zone_lookup *lookup,
				     uint32_t table)
{
	/* Wherever they begin: that is not known before the draw. */
	uint32_t size = proof_size(&c->proof, c->limit);
	struct dns_draw draw = {.to = c->p + c->at, .owner = c->name_at[0]};

	draw.room = c->limit > c->at + size ? c->limit - c->at - size : 0;
	dns_draw_records(state, lookup, table, &draw);
	if (!draw.bytes)
		return truncated(snap, rq, q, lookup->image, BITS2_QR | BITS2_AA);
	c->at += draw.bytes;
	c->counts[0] += (uint16_t)draw.count;
	copy_proof(c);
	put_counts(c);
	return dns_finish(snap, rq, q, c->at, BITS2_QR | BITS2_AA, RCODE_NOERROR,
			  VERDICT_dns_noerror);
}

/*
 * Follows aliases from `lookup` on, whose choice is made, until they end at another image, at
 * records that are drawn, or leave our zones.
 */
static enum verdict follow(const struct snapshot *snap, struct thread_state *state,
			   struct request *rq, struct dns_query *q, struct composer *c,
			   struct zone_lookup *lookup)
{
	struct followed seen[DNS_ALIASES_MAX];
	struct zone_name name = q->name;
	const struct zone_image *image;
	uint32_t table;

	/* The index may have found it: then it was not hashed for the zone, as all others are. */
	zone_name_hash(&name, lookup->arena->seed);
	for (uint32_t steps = 0;; steps++) {
		bool dname = is_below_dname(lookup);
		enum step step;

		image = lookup->image;
		if (q->edns_flags && image->secure)
			image = zone_at(lookup->arena, image->secure);
		if (!dname && !is_alias(lookup, q->type)) {
			if (image != lookup->image)
				prove(c, lookup, &name);
			return finish_with_image(snap, rq, q, c, lookup, image);
		}
		if (steps == DNS_ALIASES_MAX || !is_new(seen, steps, lookup, &name))
			break;
		step = dname ? step_dname(c, lookup, image)
			     : step_cname(c, lookup, image, &name, image != lookup->image);
		if (step == STEP_TRUNCATED)
			return truncated(snap, rq, q, image, BITS2_QR | BITS2_AA);
		if (step == STEP_TOO_LONG)
			return finish_aliases(snap, rq, q, c, image, RCODE_YXDOMAIN);
		/* The CNAME is the answer itself, or the one RRset of RFC 8482 section 4.1. */
		if (step == STEP_END || q->type == TYPE_CNAME || q->type == TYPE_ANY ||
		    c->at >= DNS_ALIASES_END)
			break;
		zone_name_set(&name, c->name, c->length, zone_label_count(c->name));
		if (zone_directory_lookup(snap->zones, &name, q->type, lookup) != ZONE_LOCATED)
			break;
		if (lookup->choice && dns_choose(state, rq, q, lookup, &table))
			return finish_with_draw(snap, state, rq, q, c, lookup, table);
	}
	return finish_aliases(snap, rq, q, c, image, RCODE_NOERROR);
}

/* The reply made from the image of a lookup, with what is added to it for this question. */
static __attribute__((noinline)) enum verdict compose_image(const struct snapshot *snap,
							    struct thread_state *state,
							    struct request *rq, struct dns_query *q,
							    struct zone_lookup *lookup)
{
	const struct zone_image *image = lookup->image;
	bool follows = is_below_dname(lookup) || is_alias(lookup, q->type);
	struct composer c;

	if (!follows && (!q->edns_flags || !image->secure))
		return dns_reply_image(snap, rq, q, image);
	if (!follows && !may_need_proof(lookup))
		return dns_reply_image(snap, rq, q, zone_at(lookup->arena, image->secure));
	c.p = rq->payload;
	c.at = q->end;
	c.limit = dns_size_limit(snap, rq, q);
	memset(c.counts, 0, sizeof c.counts);
	c.proof.count = c.proof.size = 0;
	set_name(&c, HEADER_SIZE);
	if (follows)
		return follow(snap, state, rq, q, &c, lookup);
	image = zone_at(lookup->arena, image->secure);
	prove(&c, lookup, &q->name);
	if (!c.proof.count)
		return dns_reply_image(snap, rq, q, image);
	return finish_with_image(snap, rq, q, &c, lookup, image);
}

enum verdict dns_compose(const struct snapshot *snap, struct thread_state *state,
			 struct request *rq, struct dns_query *q, struct zone_lookup *lookup)
{
	if (lookup->choice) {
		enum verdict verdict = dns_reply_choice(snap, state, rq, q, lookup);

		if (verdict != VERDICT_PENDING)
			return verdict;
	}
	return compose_image(snap, state, rq, q, lookup);
}
