/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of a master file (RFC 1035 section 5), one by one.
 *
 * What is not certainly right, or rare, is left to a reader that knows the rest, and says what is
 * wrong: $INCLUDE, $GENERATE, types without a mnemonic here, every error. It goes on where this
 * one ended, and the other way round: so what a record inherits from those before it is public.
 *
 * The bytes belong to the caller, who keeps them until the end; nothing is allocated. One thread.
 */
#ifndef XDPKIT_ZONEFILE_MASTER_H
#define XDPKIT_ZONEFILE_MASTER_H

#include <stdbool.h>
#include <stdint.h>

#include "zonefile/name.h"
#include "zonefile/rdata.h"

/* A longer record is not common. At each, no more is read twice: by us, and by the other reader. */
#define MASTER_RECORD_BYTES (1 << 17)

struct master {
	/* What is not read yet, and its line, from 1. */
	const uint8_t *next, *end;
	uint32_t line;
	/* For names that are relative, and as they were written. */
	struct name origin;
	/* RFC 1035 section 5.1, RFC 2308 section 4: the TTL of a record that has none. */
	uint32_t last_ttl, default_ttl;
	bool last_ttl_known, default_ttl_known, default_ttl_from_soa;
	/* Whether the latest stated TTL comes before a default that is the SOA's minimum. */
	bool stated_before_minimum;
	/*
	 * The latest record. An owner is in lower case, and that of the next one which has none; it
	 * is set before the first record. `covers` is the type that an RRSIG signs, else 0.
	 */
	struct name owner;
	const uint8_t *record; /* where it begins, and its line */
	uint32_t record_line, ttl;
	uint16_t type, covers;
	bool ttl_large; /* it states a TTL of 2^31 or more, which counts as 0 */
	uint32_t rdata_length;
	uint8_t rdata[RDATA_MAX_BYTES];
};

enum master_found {
	MASTER_RECORD,
	MASTER_OTHER, /* at `next` begins what is not ours, a line that nothing else has touched */
	MASTER_END,
};

/* Reads on up to the next record, comments and directives included. */
enum master_found master_next(struct master *master);

#endif
