// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* struct mmsghdr, and what runtime/thread.h needs */
#include "slowpath/udp_listener.h"

#include "capture/capture.h"

_Static_assert(UDP_ROOM <= CAPTURE_ROOM && UDP_BATCH <= CAPTURE_BATCH, "a batch can be kept");

void udp_capture_request(struct udp_listener *udp, int i, uint64_t tag)
{
	const struct request *rq = &udp->request[i];
	const struct local_address *local = &udp->local[udp_tag_local(tag)];
	struct capture_view view = {
		.source = rq->source,
		.message = rq->payload,
		.length = rq->length,
		.thread = CAPTURE_THREAD_UDP,
		.ip_version = rq->ip_version,
		.service = rq->service,
	};
	struct capture_kept *kept =
		capture_request(udp->capture, (uint32_t)i, &view, rq->payload, rq->length, 0);
	bool stamped = rq->rx_ns && rq->rx_ns <= udp->clock.utc_ns;

	if (!kept)
		return;
	kept->record.kind = CAPTURE_UDP;
	kept->record.rx_ns = stamped ? rq->rx_ns : udp->clock.utc_ns;
	kept->record.port = rq->source_port;
	kept->record.local_port = local->port;
	memcpy(kept->record.local, local->address, 16);
	capture_copy(udp->capture, CAPTURE_THREAD_UDP, (uint32_t)i);
}
