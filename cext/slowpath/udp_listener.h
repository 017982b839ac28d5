/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel door: the same answers through ordinary UDP sockets, for what reaches us by way of the
 * kernel (queues that were not chosen, fragments, IP options, local clients). One thread, one
 * socket per (address, port), recvmmsg and sendmmsg.
 */
#ifndef XDPKIT_DOOR_H
#define XDPKIT_DOOR_H

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
#include "xdp/worker.h"

#define DOOR_BATCH WORKER_BATCH

/* Largest datagram taken: above any request served, and room for any reply; a longer one is cut. */
#define DOOR_ROOM 4096

/* SCM_TIMESTAMPNS, with header and padding. */
#define DOOR_CONTROL 64

/* What epoll hands back for a socket: descriptor and service in its 64 bits. */
static inline uint64_t door_tag(int fd, uint8_t service)
{
	return (uint64_t)service << 32 | (uint32_t)fd;
}

static inline int door_tag_fd(uint64_t tag)
{
	return (int)(uint32_t)tag;
}

struct door {
	struct stats stats;
	struct qsbr *qsbr;
	struct qsbr_reader *reader;
	struct memory *memory;
	struct batch_clock clock;
	struct thread thread;
	int epoll_fd;
	struct mmsghdr message[DOOR_BATCH];
	struct iovec vector[DOOR_BATCH];
	struct sockaddr_in6 peer[DOOR_BATCH]; /* holds a sockaddr_in as well */
	struct request request[DOOR_BATCH];
	struct departure departure[DOOR_BATCH];
	struct departure *leaving[DOOR_BATCH]; /* of the replies that are to be sent */
	uint8_t outcome[DOOR_BATCH];           /* verdict of each reply that is to be sent */
	_Alignas(8) uint8_t control[DOOR_BATCH][DOOR_CONTROL];
	uint8_t payload[DOOR_BATCH][DOOR_ROOM];
};

/* Points every message at its buffers again, for the next recvmmsg. */
static inline void door_rearm(struct door *door, int from, int to)
{
	for (int i = from; i < to; i++) {
		door->vector[i] = (struct iovec){door->payload[i], DOOR_ROOM};
		door->message[i].msg_hdr = (struct msghdr){
			.msg_name = &door->peer[i],
			.msg_namelen = sizeof door->peer[i],
			.msg_iov = &door->vector[i],
			.msg_iovlen = 1,
			.msg_control = door->control[i],
			.msg_controllen = DOOR_CONTROL,
		};
	}
}

/* The kernel's receive time of a datagram in nanoseconds of UTC, or 0 where it gave none. */
static inline uint64_t door_arrival(struct msghdr *header)
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
 * Fills message `i`'s request. Returns VERDICT_redirected, or bad_frame for a datagram cut short.
 * Martian sources need no look here: the kernel dropped them, and a local client's is our own.
 */
static inline enum verdict door_request(struct door *door, int i, uint64_t tag)
{
	struct msghdr *header = &door->message[i].msg_hdr;
	const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)&door->peer[i];
	struct request *rq = &door->request[i];

	rq->payload = door->payload[i];
	rq->length = door->message[i].msg_len;
	rq->room = DOOR_ROOM;
	rq->rx_ns = door_arrival(header);
	rq->service = (uint8_t)(tag >> 32);
	rq->tcp = false;
	if (door->peer[i].sin6_family == AF_INET) {
		rq->ip_version = 4;
		rq->source = (const uint8_t *)&ipv4->sin_addr;
		rq->source_port = __builtin_bswap16(ipv4->sin_port);
	} else {
		rq->ip_version = 6;
		rq->source = (const uint8_t *)&door->peer[i].sin6_addr;
		rq->source_port = __builtin_bswap16(door->peer[i].sin6_port);
	}
	return header->msg_flags & MSG_TRUNC ? VERDICT_bad_frame : VERDICT_redirected;
}

#endif
