// SPDX-License-Identifier: Apache-2.0
/*
 * cext/runtime/clock.h with clocks that this program sets: a step of UTC, a leap second, a new TAI
 * offset, and a thread preempted between two reads.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "runtime/clock.h"
#include "check.h"

#define SECOND CLOCK_SECOND_NS

static int64_t mono = 1000 * SECOND, utc = 1795000000 * SECOND, tai_offset;
static int reads, pause_at, pauses;

/* Overrides the C library's. */
int clock_gettime(clockid_t clock, struct timespec *t)
{
	int64_t now;

	if (++reads >= pause_at && pauses > 0) {
		pauses--;
		mono += 5000000;
		utc += 5000000;
	}
	mono += 20;
	utc += 20;
	now = clock == CLOCK_MONOTONIC ? mono : utc;
	now += clock == CLOCK_TAI ? tai_offset * SECOND : 0;
	t->tv_sec = now / SECOND;
	t->tv_nsec = now % SECOND;
	return 0;
}

static struct batch_clock clock_now;

/* Advances after `ns`, which takes `expected` reads. */
static void advance_after(int64_t ns, int expected)
{
	int before = reads;

	mono += ns;
	utc += ns;
	clock_advance(&clock_now);
	CHECK(reads - before == expected);
}

static void read_after(int64_t ns)
{
	mono += ns;
	utc += ns;
	clock_read(&clock_now);
}

/* Batches in a row: one read each, of which nobody can tell that it was not three. */
static void check_advance(void)
{
	int64_t utc_to_mono_ns;
	uint64_t before;

	clock_expire(&clock_now);
	advance_after(0, 3);
	utc_to_mono_ns = clock_now.utc_to_mono_ns;
	for (int i = 0; i < 9; i++) {
		advance_after(CLOCK_STALE_NS / 10, 1);
		CHECK(clock_now.utc_ns == (uint64_t)utc && clock_now.trust_stamps);
		CHECK(llabs((int64_t)clock_now.mono_ns - mono) < 100);
		CHECK(llabs((int64_t)clock_now.tai_ns - utc - tai_offset * SECOND) < 100);
		CHECK(clock_now.utc_to_mono_ns == utc_to_mono_ns);
	}
	advance_after(CLOCK_STALE_NS / 10, 4);
	CHECK(!clock_now.stepped);
	clock_expire(&clock_now);
	advance_after(10, 3);

	/* Steps, back and on, are found by the next batch. */
	utc -= 2 * CLOCK_STEP_NS;
	before = clock_now.mono_ns;
	advance_after(100, 4 + 2 * 3);
	CHECK(clock_now.stepped && clock_now.mono_ns > before);
	utc += 2 * CLOCK_STEP_NS;
	advance_after(100, 4 + 2 * 3);
	CHECK(clock_now.stepped);
	advance_after(100, 1);
	CHECK(!clock_now.stepped);

	/* A step that is none yet moves the monotonic clock on, and never back again. */
	utc += CLOCK_STEP_NS / 2;
	advance_after(0, 1);
	CHECK(!clock_now.stepped);
	before = clock_now.mono_ns;
	CHECK(before > (uint64_t)mono);
	clock_expire(&clock_now);
	advance_after(0, 3);
	CHECK(clock_now.mono_ns >= before);

	/* Stamps of a new TAI offset are a second off at least, until all clocks are read. */
	tai_offset++;
	advance_after(100, 1);
	CHECK(utc + tai_offset * SECOND - (int64_t)clock_now.tai_ns >= SECOND);
	advance_after(CLOCK_STALE_NS, 4);
	CHECK(!clock_now.trust_stamps && clock_now.tai_offset_s == tai_offset);
}

int main(void)
{
	/* The first read has nothing to compare with. */
	read_after(0);
	CHECK(!clock_now.stepped);
	read_after(0);
	CHECK(!clock_now.stepped && clock_now.trust_stamps && clock_now.tai_offset_s == 0);
	/* An hour without a packet is not a step. */
	read_after(3600 * SECOND);
	CHECK(!clock_now.stepped && clock_now.trust_stamps);

	utc += 2 * CLOCK_STEP_NS;
	read_after(SECOND);
	CHECK(clock_now.stepped);
	read_after(SECOND);
	CHECK(!clock_now.stepped);
	utc -= 10 * SECOND;
	read_after(0);
	CHECK(clock_now.stepped);

	/* Slewing moves both clocks alike; the remainder from rounding is below a step. */
	utc += CLOCK_STEP_NS / 2;
	read_after(SECOND);
	CHECK(!clock_now.stepped);

	/* chronyd's first sync: UTC stays; for one batch earlier stamps cannot be compared. */
	tai_offset = 37;
	read_after(SECOND);
	CHECK(!clock_now.stepped && !clock_now.trust_stamps && clock_now.tai_offset_s == 37);
	read_after(SECOND);
	CHECK(!clock_now.stepped && clock_now.trust_stamps);

	/* A leap second is inserted: UTC goes backward, TAI does not. */
	utc -= SECOND;
	tai_offset = 38;
	read_after(SECOND);
	CHECK(clock_now.stepped && !clock_now.trust_stamps && clock_now.tai_offset_s == 38);
	read_after(SECOND);
	CHECK(!clock_now.stepped && clock_now.trust_stamps);

	/* Preempted between the reads, for longer than a step: reads again, no step. */
	pause_at = reads + 3;
	pauses = 1;
	read_after(SECOND);
	CHECK(!clock_now.stepped && pauses == 0);
	check_advance();
	puts("right");
	return 0;
}
