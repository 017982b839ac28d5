/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which packets a capture wants: a program in postfix order, compiled by xdpkit/capture/filter.py.
 *
 * It runs twice: on the request, when its outcome is not known yet, and on both. So its values are
 * those of Kleene's three-valued logic: what the first run rejects for sure is never copied.
 */
#ifndef XDPKIT_CAPTURE_FILTER_H
#define XDPKIT_CAPTURE_FILTER_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

#include "steer.h"

/* A line of the control socket holds 1024 bytes: no more tests fit in one. */
#define CAPTURE_FILTER_STEPS 128
#define CAPTURE_FILTER_DEPTH 32
#define CAPTURE_FILTER_BYTES 1024

/* What a step pushes, or does with what is on the stack. */
enum capture_op {
	CAPTURE_OP_AND,
	CAPTURE_OP_OR,
	CAPTURE_OP_NOT,
	CAPTURE_OP_SERVICE,  /* value: enum service_id */
	CAPTURE_OP_CLIENT,   /* `length` bytes at `at`: the prefix; value: its bits */
	CAPTURE_OP_NAME,     /* the question's name is that at `at`: wire format, lower case */
	CAPTURE_OP_BELOW,    /* the question's name ends with it, and is longer */
	CAPTURE_OP_TYPE,     /* value: the question's type */
	CAPTURE_OP_THREAD,   /* value: enum capture_thread */
	CAPTURE_OP_RCODE,    /* value: of the reply, with the bits of EDNS */
	CAPTURE_OP_VERDICT,  /* value: enum verdict */
	CAPTURE_OP_ANSWERED, /* it has a reply */
	CAPTURE_OPS,
};

struct capture_step {
	uint8_t op;
	uint8_t length;
	uint16_t at; /* in `bytes` */
	uint32_t value;
};

struct capture_filter {
	uint32_t steps; /* 0: everything */
	struct capture_step step[CAPTURE_FILTER_STEPS];
	uint8_t bytes[CAPTURE_FILTER_BYTES];
};

enum capture_value { CAPTURE_FALSE, CAPTURE_UNKNOWN, CAPTURE_TRUE };

/* What is known of a packet. */
struct capture_view {
	const uint8_t *source;  /* 4 or 16 bytes; NULL: no valid request */
	const uint8_t *message; /* the request's payload */
	uint32_t length;
	uint16_t thread;
	uint8_t ip_version;
	uint8_t service;      /* enum service_id */
	uint8_t verdict;      /* enum verdict; pending: the outcome is not known */
	const uint8_t *reply; /* the reply's payload; NULL: there is none */
	uint32_t reply_length;
};

/* Whether a program can be run: its stack holds one value at the end, its operands are inside. */
bool capture_filter_is_valid(const struct capture_filter *filter);

enum capture_value capture_filter_run(const struct capture_filter *filter,
				      const struct capture_view *view);

#endif
