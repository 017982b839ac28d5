// SPDX-License-Identifier: Apache-2.0
#include "zone/check_image.h"

#include "base/bytes.h"
#include "dns/rdata.h"
#include "dns/wire.h"

/* A walk over a body: its records, the fixups seen so far, the bounds for pointers. */
struct walk {
	const uint8_t *body;
	uint32_t length;
	uint32_t at;
	uint32_t before; /* bytes before the body: header and question */
	const uint8_t *fixups;
	uint32_t fixup, fixup_count;
};

static bool walk_name(struct walk *w, uint32_t end)
{
	while (w->at < end) {
		uint8_t label = w->body[w->at];

		if (label >= POINTER >> 8) {
			uint32_t to;
			uint16_t at;

			if (w->at + 2 > end)
				return false;
			to = load_be16(w->body + w->at) & POINTER_MAX;
			/* Into the question's name, or back into the body. */
			if (to < HEADER_SIZE || to >= w->before + w->at ||
			    (to >= w->before - 4 && to < w->before))
				return false;
			memcpy(&at, w->fixups + w->fixup * 2, w->fixup < w->fixup_count ? 2 : 0);
			w->fixup += w->fixup < w->fixup_count && at == w->at;
			w->at += 2;
			return true;
		}
		if (label >= 64)
			return false;
		w->at += label + 1u;
		if (!label)
			return w->at <= end;
	}
	return false;
}

/* One record; the names that dns/compose.c parses must end within its RDATA. */
static bool walk_record(struct walk *w)
{
	uint32_t skip, names, end;

	if (!walk_name(w, w->length) || w->at + RR_FIXED > w->length)
		return false;
	end = w->at + RR_FIXED + load_be16(w->body + w->at + 8);
	if (end > w->length)
		return false;
	dns_names_of_type(load_be16(w->body + w->at), &skip, &names);
	w->at += RR_FIXED + skip;
	while (names--)
		if (!walk_name(w, end))
			return false;
	if (w->at > end)
		return false;
	w->at = end;
	return true;
}

/* Records up to an offset, where the last of them must end exactly. */
static bool walk_to(struct walk *w, uint32_t end, uint32_t *count)
{
	while (w->at < end) {
		if (!walk_record(w))
			return false;
		++*count;
	}
	return w->at == end;
}

const struct zone_image *zone_check_image(const struct zone_extent *check, uint32_t offset)
{
	const struct zone_image *image = zone_check_within(check, offset, sizeof *image);
	struct walk w = {0};
	uint32_t required = 0, glue = 0, rest = 0, fixups_at;

	if (!image || image->kind >= ZONE_KIND_COUNT || image->authority > image->trimmed ||
	    image->trimmed > image->length)
		return NULL;
	fixups_at = image->length + image->length % 2u;
	if (!zone_check_within(check, offset, sizeof *image + fixups_at + image->fixups * 2u))
		return NULL;
	w.body = (const uint8_t *)(image + 1);
	w.length = image->length;
	w.before = HEADER_SIZE + image->base + 4;
	w.fixups = w.body + fixups_at;
	w.fixup_count = image->fixups;
	if (!walk_to(&w, image->authority, &required) || !walk_to(&w, image->trimmed, &glue) ||
	    !walk_to(&w, image->length, &rest))
		return NULL;
	/* A fixup that is not at a pointer was not counted. */
	if (w.fixup != w.fixup_count)
		return NULL;
	return required == (uint32_t)load_be16(image->counts) + load_be16(image->counts + 2) &&
			       glue == image->glue && glue + rest == load_be16(image->counts + 4)
		       ? image
		       : NULL;
}

/* -------------------------------------------------------------------------------------------- */

/*
 * Whether an alias can be followed by the first record: a CNAME or DNAME whose owner is a pointer
 * to the question's name or to the end of it; a DNAME's target is uncompressed.
 */
static bool redirects(const struct zone_image *image, uint16_t type)
{
	const uint8_t *record = (const uint8_t *)(image + 1);
	uint32_t length;

	if (image->authority < 2 + RR_FIXED || load_be16(record) != (POINTER | HEADER_SIZE) ||
	    load_be16(record + 2) != type)
		return false;
	length = load_be16(record + 2 + 8);
	return type == TYPE_CNAME ||
	       (length && zone_wire_name_length(record + 2 + RR_FIXED, length) == length);
}

/* What an image must be besides sound. */
struct purpose {
	uint32_t base; /* the most bytes of the question's name that it was made for */
	uint16_t type; /* CNAME or DNAME: names are redirected by it; 0: any */
};

static bool is_sound(const struct zone_image *image, const struct purpose *purpose)
{
	return image && image->base <= purpose->base &&
	       (!purpose->type || redirects(image, purpose->type));
}

bool zone_check_answer(const struct zone_extent *check, uint32_t offset, uint32_t base,
		       uint16_t type)
{
	const struct purpose purpose = {.base = base, .type = type};
	const struct zone_image *image = zone_check_image(check, offset);

	if (!is_sound(image, &purpose))
		return false;
	return !image->secure || is_sound(zone_check_image(check, image->secure), &purpose);
}
