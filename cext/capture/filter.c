// SPDX-License-Identifier: Apache-2.0
#include "capture/filter.h"

#include <string.h>

#include "base/bytes.h"
#include "runtime/stats.h"

/* RFC 1035 section 4.1.1: the header of a message, and the bits of its fourth byte. */
#define DNS_HEADER     12
#define DNS_RCODE_MASK 0x0f
/* The longest name, RFC 1035 section 2.3.4. */
#define DNS_NAME_MAX 255

/* RFC 6891 section 9 and RFC 7873 section 8: above what the header holds. */
#define RCODE_BADVERS   16
#define RCODE_BADCOOKIE 23

static bool is_operand(const struct capture_filter *filter, const struct capture_step *step)
{
	if ((uint32_t)step->at + step->length > CAPTURE_FILTER_BYTES)
		return false;
	switch (step->op) {
	case CAPTURE_OP_CLIENT:
		return (step->length == 4 || step->length == 16) &&
		       step->value <= 8u * step->length;
	case CAPTURE_OP_NAME:
	case CAPTURE_OP_BELOW:
		return step->length > 0 && filter->bytes[step->at + step->length - 1] == 0;
	default:
		return true;
	}
}

bool capture_filter_is_valid(const struct capture_filter *filter)
{
	uint32_t depth = 0;

	if (filter->steps > CAPTURE_FILTER_STEPS)
		return false;
	for (uint32_t i = 0; i < filter->steps; i++) {
		const struct capture_step *step = &filter->step[i];

		if (step->op >= CAPTURE_OPS || !is_operand(filter, step))
			return false;
		if (step->op == CAPTURE_OP_AND || step->op == CAPTURE_OP_OR) {
			if (depth < 2)
				return false;
			depth--;
		} else if (step->op == CAPTURE_OP_NOT) {
			if (!depth)
				return false;
		} else if (++depth > CAPTURE_FILTER_DEPTH) {
			return false;
		}
	}
	return depth == (filter->steps ? 1 : 0);
}

static bool has_prefix(const uint8_t *address, const uint8_t *prefix, uint32_t bits)
{
	uint32_t whole = bits / 8, rest = bits % 8;

	if (memcmp(address, prefix, whole) != 0)
		return false;
	return !rest || ((address[whole] ^ prefix[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

/* The length of the question's name with its last, empty label; 0: there is none in one piece. */
static uint32_t name_length(const struct capture_view *view)
{
	uint32_t at = DNS_HEADER;

	if (view->service != SERVICE_dns || view->length < DNS_HEADER ||
	    !load_be16(view->message + 4))
		return 0;
	while (at < view->length && at - DNS_HEADER < DNS_NAME_MAX) {
		uint8_t label = view->message[at];

		if (label > 63)
			return 0;
		at += 1u + label;
		if (!label)
			return at - DNS_HEADER;
	}
	return 0;
}

/* The lengths of labels are below any letter: they may be folded, too. */
static bool same_folded(const uint8_t *name, const uint8_t *lower, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++) {
		uint8_t byte = name[i];

		if (byte >= 'A' && byte <= 'Z')
			byte |= 0x20;
		if (byte != lower[i])
			return false;
	}
	return true;
}

static bool is_below(const uint8_t *name, uint32_t length, const uint8_t *lower, uint32_t suffix)
{
	uint32_t at = 0;

	/* Label by label: what is equal to the suffix may begin within a label. */
	while (length - at > suffix)
		at += 1u + name[at];
	return at && length - at == suffix && same_folded(name + at, lower, suffix);
}

static bool has_name(const struct capture_filter *filter, const struct capture_step *step,
		     const struct capture_view *view)
{
	uint32_t length = name_length(view);
	const uint8_t *name = view->message + DNS_HEADER;

	if (!length)
		return false;
	if (step->op == CAPTURE_OP_NAME)
		return length == step->length &&
		       same_folded(name, filter->bytes + step->at, length);
	return is_below(name, length, filter->bytes + step->at, step->length);
}

static bool has_type(const struct capture_view *view, uint32_t type)
{
	uint32_t length = name_length(view);

	return length && DNS_HEADER + length + 2 <= view->length &&
	       load_be16(view->message + DNS_HEADER + length) == type;
}

static bool has_rcode(const struct capture_view *view, uint32_t rcode)
{
	if (view->service != SERVICE_dns || !view->reply || view->reply_length < DNS_HEADER)
		return false;
	if (view->verdict == VERDICT_dns_badvers)
		return rcode == RCODE_BADVERS;
	if (view->verdict == VERDICT_dns_badcookie)
		return rcode == RCODE_BADCOOKIE;
	return (view->reply[3] & DNS_RCODE_MASK) == rcode;
}

static bool test_request(const struct capture_filter *filter, const struct capture_step *step,
			 const struct capture_view *view)
{
	switch (step->op) {
	case CAPTURE_OP_SERVICE:
		return view->service == step->value;
	case CAPTURE_OP_CLIENT:
		return view->source && step->length == (view->ip_version == 4 ? 4 : 16) &&
		       has_prefix(view->source, filter->bytes + step->at, step->value);
	case CAPTURE_OP_TYPE:
		return has_type(view, step->value);
	case CAPTURE_OP_THREAD:
		return view->thread == step->value;
	default:
		return has_name(filter, step, view);
	}
}

static bool test_outcome(const struct capture_step *step, const struct capture_view *view)
{
	switch (step->op) {
	case CAPTURE_OP_RCODE:
		return has_rcode(view, step->value);
	case CAPTURE_OP_VERDICT:
		return view->verdict == step->value;
	default:
		return verdict_answers((enum verdict)view->verdict);
	}
}

static uint8_t test(const struct capture_filter *filter, const struct capture_step *step,
		    const struct capture_view *view)
{
	if (step->op < CAPTURE_OP_RCODE)
		return test_request(filter, step, view) ? CAPTURE_TRUE : CAPTURE_FALSE;
	if (view->verdict == VERDICT_PENDING)
		return CAPTURE_UNKNOWN;
	return test_outcome(step, view) ? CAPTURE_TRUE : CAPTURE_FALSE;
}

enum capture_value capture_filter_run(const struct capture_filter *filter,
				      const struct capture_view *view)
{
	uint8_t stack[CAPTURE_FILTER_DEPTH], *top = stack, other;

	if (!filter->steps)
		return CAPTURE_TRUE;
	for (uint32_t i = 0; i < filter->steps; i++) {
		const struct capture_step *step = &filter->step[i];

		switch (step->op) {
		case CAPTURE_OP_AND:
			other = *--top;
			top[-1] = top[-1] < other ? top[-1] : other;
			break;
		case CAPTURE_OP_OR:
			other = *--top;
			top[-1] = top[-1] > other ? top[-1] : other;
			break;
		case CAPTURE_OP_NOT:
			top[-1] = (uint8_t)(CAPTURE_TRUE - top[-1]);
			break;
		default:
			*top++ = test(filter, step, view);
		}
	}
	return (enum capture_value)stack[0];
}
