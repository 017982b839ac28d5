// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer target for the reader of master files: any bytes, in a buffer of exactly their size, so
 * that ASAN catches any access out of bounds. What is left to another reader is skipped as a line.
 *
 * An input is a byte of option bits (a default TTL, where it is from) and the text.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "zonefile/master.h"

/* A wire name: labels up to the root's, and nothing behind them. */
static void check_name(const struct name *name, bool lower)
{
	uint32_t at = 0;

	while (at < name->length && name->bytes[at]) {
		CHECK(name->bytes[at] <= LABEL_MAX);
		at += name->bytes[at] + 1u;
	}
	CHECK(at + 1 == name->length);
	for (at = 0; lower && at < name->length; at++)
		CHECK(name->bytes[at] < 'A' || name->bytes[at] > 'Z');
}

static void check_record(const struct master *master, const uint8_t *before)
{
	check_name(&master->owner, true);
	CHECK(master->record >= before && master->record < master->next);
	CHECK(master->next - master->record <= MASTER_RECORD_BYTES);
	CHECK(master->rdata_length <= RDATA_MAX_BYTES);
	CHECK(master->ttl <= 0x7fffffff);
	CHECK(master->type && master->record_line <= master->line);
	CHECK(!master->covers || (master->type == 46 && master->rdata_length > 18));
}

/* Goes behind the next newline, as whoever reads on does. */
static void skip_line(struct master *master)
{
	struct text text = {master->next, master->end, master->line, 0, false};

	text_skip_line(&text);
	if (text.at < text.end)
		text_end_line(&text);
	master->next = text.at;
	master->line = text.line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct master master;
	static const struct name origin = {3, {1, 'Z', 0}}, owner = {3, {1, 'z', 0}};
	enum master_found found;
	uint8_t *text;

	if (!size)
		return 0;
	text = malloc(size);
	CHECK(text);
	memcpy(text, data, size--);
	memset(&master, 0, sizeof master);
	master.next = text + 1;
	master.end = text + 1 + size;
	master.line = 1;
	master.origin = origin;
	master.owner = owner;
	master.default_ttl_known = *data & 1;
	master.stated_before_minimum = *data & 2;
	do {
		const uint8_t *before = master.next;
		uint32_t line = master.line;

		found = master_next(&master);
		CHECK(master.next >= before && master.next <= master.end && master.line >= line);
		CHECK(found == MASTER_OTHER || master.next > before || before == master.end);
		check_name(&master.origin, false);
		if (found == MASTER_RECORD)
			check_record(&master, before);
		if (found == MASTER_OTHER)
			skip_line(&master);
	} while (found != MASTER_END);
	CHECK(master.next == master.end);
	free(text);
	return 0;
}
