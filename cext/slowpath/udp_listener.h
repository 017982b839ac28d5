/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UDP listener: the same answers through ordinary UDP sockets, for packets that reach us
 * through the kernel (queues not selected, fragments, IP options, local clients). One thread, one
 * socket per (address, port), recvmmsg() and sendmmsg().
 */
#ifndef XDPKIT_UDP_LISTENER_H
#define XDPKIT_UDP_LISTENER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "service/answer.h"
#include "runtime/clock.h"
#include "runtime/thread_state.h"
#include "runtime/qsbr.h"
#include "runtime/stats.h"
#include "runtime/thread.h"
#include "slowpath/local_address.h"
#include "xdp/worker.h"

#define UDP_BATCH WORKER_BATCH

/* Largest datagram: more than any served request or reply needs; longer ones are truncated. */
#define UDP_ROOM 4096

/* SCM_TIMESTAMPNS, with header and padding. */
#define UDP_CONTROL 64

/* The epoll tag of a socket: descriptor, service, and number of its address. */
static inline uint64_t udp_tag(int fd, uint8_t service, uint16_t local)
{
	return (uint64_t)local << 40 | (uint64_t)service << 32 | (uint32_t)fd;
}

static inline uint16_t udp_tag_local(uint64_t tag)
{
	return (uint16_t)(tag >> 40);
}

static inline int udp_tag_fd(uint64_t tag)
{
	return (int)(uint32_t)tag;
}

struct udp_listener {
	struct stats stats;
	struct qsbr *qsbr;
	struct qsbr_reader *reader;
	struct thread_state *state;
	struct batch_clock clock;
	const struct capture_set *capture; /* that want something of this batch; NULL: none */
	uint64_t sent_ns; /* of this batch's replies, UTC; if somebody wants to know */
	struct thread thread;
	int epoll_fd;
	struct mmsghdr message[UDP_BATCH];
	struct iovec vector[UDP_BATCH];
	struct sockaddr_in6 peer[UDP_BATCH]; /* holds a sockaddr_in as well */
	struct request request[UDP_BATCH];
	struct tx_record tx_records[UDP_BATCH];
	struct tx_record *pending_tx[UDP_BATCH]; /* of the replies to send */
	uint8_t outcome[UDP_BATCH];              /* verdict of each reply to send */
	_Alignas(8) uint8_t control[UDP_BATCH][UDP_CONTROL];
	uint8_t payload[UDP_BATCH][UDP_ROOM];
	struct local_address local[LOCAL_ADDRESSES];
};

/* Points messages at their buffers again, for the next recvmmsg(). */
static inline void udp_rearm(struct udp_listener *udp, int from, int to)
{
	for (int i = from; i < to; i++) {
		udp->vector[i] = (struct iovec){udp->payload[i], UDP_ROOM};
		udp->message[i].msg_hdr = (struct msghdr){
			.msg_name = &udp->peer[i],
			.msg_namelen = sizeof udp->peer[i],
			.msg_iov = &udp->vector[i],
			.msg_iovlen = 1,
			.msg_control = udp->control[i],
			.msg_controllen = UDP_CONTROL,
		};
	}
}

/* The kernel's receive stamp of a datagram in nanoseconds of UTC; 0: none. */
static inline uint64_t udp_arrival(struct msghdr *header)
{
	struct timespec t;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&t, CMSG_DATA(c), sizeof t);
		return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	}
	return 0;
}

/*
 * Fills in the request of message `i`. Returns VERDICT_PENDING, or bad_frame for a truncated
 * datagram. No check for martian sources: the kernel dropped those, and a local client's source is
 * rightly our own address.
 */
static inline enum verdict udp_request(struct udp_listener *udp, int i, uint64_t tag)
{
	struct msghdr *header = &udp->message[i].msg_hdr;
	const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)&udp->peer[i];
	struct request *rq = &udp->request[i];

	rq->payload = udp->payload[i];
	rq->length = udp->message[i].msg_len;
	rq->room = UDP_ROOM;
	rq->rx_ns = udp_arrival(header);
	rq->service = (uint8_t)(tag >> 32);
	rq->tcp = false;
	if (udp->peer[i].sin6_family == AF_INET) {
		rq->ip_version = 4;
		rq->source = (const uint8_t *)&ipv4->sin_addr;
		rq->source_port = __builtin_bswap16(ipv4->sin_port);
	} else {
		rq->ip_version = 6;
		rq->source = (const uint8_t *)&udp->peer[i].sin6_addr;
		rq->source_port = __builtin_bswap16(udp->peer[i].sin6_port);
	}
	return header->msg_flags & MSG_TRUNC ? VERDICT_bad_frame : VERDICT_PENDING;
}

/* The request that the reply at this place among those to send answers. */
static inline const struct request *udp_answered(const struct udp_listener *udp, int reply)
{
	return &udp->request[udp->pending_tx[reply] - udp->tx_records];
}

/* A datagram has been received: for captures. */
void udp_capture_request(struct udp_listener *udp, int i, uint64_t tag);

#endif
