// SPDX-License-Identifier: Apache-2.0
#include "slowpath/tcp.h"

#include <string.h>

#include "base/bytes.h"
#include "capture/capture.h"

static uint8_t *input_of(const struct tcp *tcp, const struct tcp_connection *c)
{
	return c->large ? tcp->table.slot[c->large].bytes
			: tcp->table.input[tcp_index(&tcp->table, c)];
}

uint8_t *tcp_input(struct tcp *tcp, struct tcp_connection *c, uint32_t *room)
{
	uint8_t *input = input_of(tcp, c);

	if (c->large) {
		/* What comes after this query belongs into the page. */
		*room = TCP_PREFIX + load_be16(input) - c->held;
		return input + c->held;
	}
	c->held -= c->at;
	memmove(input, input + c->at, c->held);
	c->at = 0;
	*room = TCP_INPUT - c->held;
	return input + c->held;
}

void tcp_received(struct tcp_connection *c, uint32_t length)
{
	c->held += length;
}

/* The length of the next query; 0: incomplete so far, or invalid. */
static uint32_t query_length(struct tcp_connection *c, const uint8_t *input)
{
	uint32_t held = c->held - c->at, length;

	if (held < TCP_PREFIX)
		return 0;
	length = load_be16(input + c->at);
	if (length == 0)
		c->end = TCP_END_framing;
	return held - TCP_PREFIX < length ? 0 : length;
}

/* Whether the next query is longer than the page that it is in. */
static bool is_large(const struct tcp_connection *c, const uint8_t *input)
{
	return !c->large && c->held - c->at >= TCP_PREFIX &&
	       load_be16(input + c->at) > TCP_INPUT - TCP_PREFIX;
}

/* A query is to be answered; its bytes stay until it is. */
static void capture_query(const struct tcp *tcp, const struct tcp_connection *c,
			  const struct capture_set *captures, const struct request *rq,
			  const uint8_t *query)
{
	struct capture_view view = {
		.source = rq->source,
		.message = query,
		.length = rq->length,
		.thread = CAPTURE_THREAD_TCP,
		.ip_version = rq->ip_version,
		.service = rq->service,
	};
	struct capture_kept *kept = capture_request(captures, 0, &view, query - TCP_PREFIX,
						    TCP_PREFIX + rq->length, TCP_PREFIX);

	if (!kept)
		return;
	kept->record.kind = CAPTURE_TCP;
	kept->record.rx_ns = rq->rx_ns;
	kept->record.port = c->port;
	kept->record.rx_at = c->received;
	kept->record.tx_at = c->answered;
	if (tcp->local) {
		kept->record.local_port = tcp->local[c->local].port;
		memcpy(kept->record.local, tcp->local[c->local].address, 16);
	}
}

/* An answer is complete, or there is none. */
static void observe(struct tcp *tcp, const struct capture_set *captures, bool latency,
		    enum verdict verdict, const uint8_t *reply, uint32_t length)
{
	uint64_t now = clock_ns(CLOCK_REALTIME);

	if (latency && reply)
		latency_add(&tcp->state->latency, now, tcp->clock.utc_ns, tcp->clock.utc_ns);
	if (!captures)
		return;
	capture_outcome(captures, CAPTURE_THREAD_TCP, 0, verdict, reply, length);
	capture_finish(captures, CAPTURE_THREAD_TCP, 1, now);
}

static void answer_one(struct tcp *tcp, struct tcp_connection *c, const struct snapshot *snap,
		       const uint8_t *query, uint32_t length)
{
	uint8_t *prefix = tcp->output + tcp->filled;
	struct request rq = {
		.payload = prefix + TCP_PREFIX,
		.length = length,
		.room = TCP_REPLY_MAX - TCP_PREFIX,
		.source = c->source,
		.source_port = c->port,
		.ip_version = c->ip_version,
		.service = SERVICE_dns,
		.tcp = true,
		.rx_ns = tcp->clock.utc_ns,
	};
	const struct capture_set *captures =
		snap->capture ? capture_batch(snap->capture, CAPTURE_THREAD_TCP, 1) : NULL;
	bool answered;
	struct tx_record tx_record; /* used by NTP only */
	enum verdict verdict;

	if (captures)
		capture_query(tcp, c, captures, &rq, query);
	memcpy(rq.payload, query, length);
	verdict = answer(snap, tcp->state, &rq, &tx_record);
	tcp->queries++;
	tcp->stats.verdict[verdict]++;
	answered = verdict_answers(verdict);
	if (answered)
		store_be16(prefix, (uint16_t)rq.length);
	if (snap->latency || captures)
		observe(tcp, captures, snap->latency, verdict, answered ? prefix : NULL,
			TCP_PREFIX + rq.length);
	if (!answered) {
		c->end = TCP_END_message;
		return;
	}
	c->received += TCP_PREFIX + length;
	c->answered += TCP_PREFIX + rq.length;
	tcp->filled += TCP_PREFIX + rq.length;
	if (++c->queries == tcp->table.limits.queries)
		c->end = TCP_END_queries;
}

enum tcp_step tcp_answer(struct tcp *tcp, struct tcp_connection *c, const struct snapshot *snap)
{
	const uint8_t *input = input_of(tcp, c);
	uint32_t length;

	while (!c->end && (length = query_length(c, input))) {
		if (TCP_OUTPUT - tcp->filled < TCP_REPLY_MAX)
			return TCP_OUTPUT_FULL;
		answer_one(tcp, c, snap, input + c->at + TCP_PREFIX, length);
		c->at += TCP_PREFIX + length;
		tcp_touch(&tcp->table, c, tcp->clock.mono_ns);
		if (c->large) {
			tcp_free_large(&tcp->table, c);
			input = input_of(tcp, c);
		}
	}
	if (c->end)
		return TCP_CLOSES;
	return is_large(c, input) ? TCP_NEEDS_SLOT : TCP_NEEDS_INPUT;
}

struct tcp_bytes tcp_output(const struct tcp *tcp, const struct tcp_connection *c)
{
	const struct tcp_slot *unsent = &tcp->table.slot[c->unsent];

	if (!c->unsent)
		return (struct tcp_bytes){tcp->output, tcp->filled};
	return (struct tcp_bytes){unsent->bytes + unsent->from, unsent->to - unsent->from};
}

bool tcp_sent(struct tcp *tcp, struct tcp_connection *c, uint32_t length)
{
	struct tcp_slot *unsent = &tcp->table.slot[c->unsent];
	uint32_t left = tcp_output(tcp, c).length - length;

	if (!c->unsent) {
		if (left)
			tcp_keep_unsent(&tcp->table, c, tcp->output + length, left);
		tcp->filled = 0;
	} else if (left) {
		unsent->from += length;
	} else {
		tcp_free_unsent(&tcp->table, c);
		tcp_touch(&tcp->table, c, tcp->clock.mono_ns);
	}
	return !left;
}
