/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sections after a question, built record by record, and the image (zone/zone.h) made of them.
 *
 * An image is made for one question name. If longer questions may use it too (wildcards, denials,
 * referrals), it includes the positions of its compression pointers: see struct zone_image.
 */
#ifndef XDPKIT_COMPILE_BODY_H
#define XDPKIT_COMPILE_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "compile/names.h"
#include "dns/wire.h"

/* The most bytes of a body that fits a message with any question and an OPT. */
#define BODY_MAX (65535 - HEADER_SIZE - ZONE_NAME_MAX - 4 - OPT_SIZE)

/* What is kept of one that is too large, so that its optional records can be left out. */
#define BODY_ROOM 65536

enum body_section { BODY_ANSWER, BODY_AUTHORITY, BODY_ADDITIONAL, BODY_SECTIONS };

/* What a question is made for. */
struct body_question {
	const uint8_t *name; /* lower-cased, uncompressed, length bytes */
	uint32_t length;
	/*
	 * The question may be for another name below this one. So it may be at a wildcard, where
	 * the owner of the answer is the question's name, not the wildcard.
	 */
	bool shared;
	bool secure; /* has DO: signatures and proofs are included */
};

/* One record; the owner NULL is the question's name as received. RDATA is uncompressed. */
struct body_record {
	const uint8_t *owner;
	uint32_t owner_length;
	uint16_t type;
	uint32_t ttl;
	const uint8_t *rdata;
	uint32_t length;
};

/* All zero, and `names.seed` random, before the first use. */
struct body {
	struct names names;
	bool wildcard, relocatable, secure;
	bool named;        /* `names` has the question's */
	bool has_more;     /* a record of the additional section was added */
	bool has_optional; /* what may be left out begins at `trimmed` */
	bool truncated;    /* no message holds it */
	uint32_t counts[BODY_SECTIONS];
	uint32_t glue;            /* additional records that may not be left out */
	uint64_t length;          /* bytes; more than BODY_ROOM are counted, not kept */
	uint64_t authority;       /* where the additional section begins */
	uint64_t trimmed;         /* length without what may be left out */
	uint32_t fixups;          /* in `fixup` */
	uint32_t question_length; /* bytes of its name */
	uint8_t question[ZONE_NAME_MAX + 1];
	uint8_t bytes[BODY_ROOM];
	uint16_t fixup[BODY_ROOM / 2];
};

/* The image's fields that its records do not determine. */
struct body_kind {
	enum zone_kind kind;
	uint8_t rcode;
	bool authoritative;
};

/* Begins another body; -1 if the question's name is not one. */
int body_begin(struct body *body, const struct body_question *question);

/* Appends a record; -1 if a name in it is malformed, or its RDATA longer than 65,535 bytes. */
int body_add(struct body *body, enum body_section section, const struct body_record *record);

/* Records added from here on may be left out of a reply that would be too long. */
void body_begin_optional(struct body *body);

/* Whether what may be left out must be: whatever else is added will be, too. */
static inline bool body_is_trimmed(const struct body *body)
{
	return body->has_optional && body->length > BODY_MAX;
}

/*
 * Ends the body; the size of its image, a multiple of ZONE_UNIT. If what must be there is too large
 * for a DNS message, it is `truncated`, and has no records.
 */
uint32_t body_end(struct body *body);

/* Writes the image, of the size that body_end() returned, to `image`, which is aligned to it. */
void body_write(const struct body *body, const struct body_kind *kind, uint8_t *image);

#endif
