/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of a capture as blocks of a pcapng file (draft-ietf-opsawg-pcapng): a packet and its
 * reply are an Enhanced Packet Block each, with direction, queue and a comment. Frames of the ring
 * are Ethernet; what the kernel's sockets gave has no headers, and gets those that it had on the
 * wire as far as they are known: LINKTYPE_RAW, with IP, UDP or TCP headers made here.
 */
#ifndef XDPKIT_CAPTURE_PCAPNG_H
#define XDPKIT_CAPTURE_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

#include "capture/ring.h"

/* Room for any record's blocks: two TCP messages of 64 KiB, in segments, with headers. */
#define PCAPNG_ROOM (160 << 10)

/* An interface of the file, by thread. */
struct pcapng_interface {
	uint32_t id;
	char name[24]; /* of the thread, for the comment */
};

/* Writes the blocks of a record to `out`, which has PCAPNG_ROOM bytes; returns their length. */
size_t pcapng_record(uint8_t *out, const struct capture_record *record,
		     const struct pcapng_interface *interface);

#endif
