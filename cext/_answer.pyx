# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""The bytes -> bytes door: what the server would say, without a socket or privilege.

For unit tests, fuzzing, replay and ``xdpkit query``. It calls the very functions that the AF_XDP
loop and the kernel door call.
"""

from libc.string cimport memcpy

import ipaddress

from xdpkit.cext._snapshot cimport Snapshot
from xdpkit.cext._stats cimport SERVICE_ntp, VERDICT_redirected, XDPKIT_MAX_FRAME, verdict_answers
from xdpkit.cext._stats import SERVICES, VERDICTS

# A kernel socket's largest datagram here, and the room a reply may take.
cdef enum:
    ROOM = 4096


def answer(Snapshot snapshot not None, str service not None, bytes payload not None,
           source=("192.0.2.1", 40000), uint64_t rx_ns=0, uint64_t tx_ns=0):
    """Answers one UDP payload of at most 4096 bytes; returns ``(verdict name, reply or None)``.

    ``source`` is (address, port); times are nanoseconds of UTC since 1970.
    Raises ValueError for a payload that is too long and a service that is off.
    """
    cdef uint8_t buffer[ROOM]
    cdef request rq
    cdef bytes source_bytes = ipaddress.ip_address(source[0]).packed
    cdef verdict v
    if len(payload) > ROOM:
        raise ValueError(f"a payload of {len(payload)} bytes, {ROOM} fit")
    memcpy(buffer, <const char *>payload, len(payload))
    rq.payload, rq.length, rq.room = buffer, len(payload), ROOM
    rq.source, rq.source_port = source_bytes, source[1]
    rq.ip_version = 4 if len(source_bytes) == 4 else 6
    rq.service = SERVICES[service]
    rq.rx_ns = rx_ns
    if not snapshot.c.port[rq.service]:
        raise ValueError(f"{service} is off in this snapshot")
    v = answer_c(snapshot.c, &rq)
    name = VERDICTS[v].name
    if not verdict_answers(v):
        return name, None
    if rq.service == SERVICE_ntp:
        ntp_stamp(buffer, ntp_time(tx_ns))
    return name, buffer[:rq.length]


def answer_frame(Snapshot snapshot not None, bytes data not None, uint64_t rx_ns=0,
                 uint64_t tx_ns=0):
    """Answers an Ethernet frame of at most 1792 bytes as the loop does; returns like ``answer``."""
    cdef uint8_t buffer[XDPKIT_MAX_FRAME]
    cdef request rq
    cdef frame f
    cdef verdict v
    cdef uint32_t length
    if len(data) > XDPKIT_MAX_FRAME:
        raise ValueError(f"a frame of {len(data)} bytes does not fit a chunk")
    memcpy(buffer, <const char *>data, len(data))
    v = frame_parse(snapshot.c, buffer, len(data), XDPKIT_MAX_FRAME, &f, &rq)
    if v == VERDICT_redirected:
        rq.rx_ns = rx_ns
        v = answer_c(snapshot.c, &rq)
    name = VERDICTS[v].name
    if not verdict_answers(v):
        return name, None
    length = frame_turn(&f, &rq)
    if rq.service == SERVICE_ntp:
        frame_checksum_added(f.udp, ntp_stamp(rq.payload, ntp_time(tx_ns)))
    return name, buffer[:length]
