# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""The bytes call: what the server would answer, without a socket or privilege.

For unit tests, fuzzing, replay and ``xdpkit query``. It calls the same functions as the AF_XDP loop
and the slow path.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

import ipaddress

from xdpkit._core._thread_state cimport (
    ThreadState, batch_clock, thread_state_begin_batch, tx_record,
)
from xdpkit._core._snapshot cimport Snapshot
from xdpkit._core._stats cimport SERVICE_ntp, VERDICT_PENDING, XDPKIT_MAX_FRAME, verdict_answers
from xdpkit._core._stats import SERVICES, VERDICT_FIRST, VERDICTS

# The largest datagram that the slow path takes, and the room for a reply: over UDP, over TCP.
cdef enum:
    ROOM = 4096
    TCP_ROOM = 65535


def answer(Snapshot snapshot not None, str service not None, bytes payload not None,
           source=("192.0.2.1", 40000), uint64_t rx_ns=0, uint64_t tx_ns=0, uint64_t mono_ns=0,
           ThreadState state=None, bint tcp=False, uint32_t room=0):
    """Answers one UDP payload of at most 4096 bytes; returns ``(verdict name, reply or None)``.

    ``source`` is (address, port); times are nanoseconds of UTC since 1970, ``mono_ns`` is
    CLOCK_MONOTONIC on arrival. ``state`` is the thread state that earlier requests left (None: a
    new one). ``tcp``: it is a message from a TCP connection, without its length. ``room``: the most
    bytes of a reply (0: as many as the slow path has). Raises ValueError when the payload is too
    long for that or the service is off.
    """
    cdef uint8_t buffer[TCP_ROOM]
    cdef request rq
    cdef tx_record record
    cdef bytes source_bytes = ipaddress.ip_address(source[0]).packed
    cdef verdict v
    state = state or ThreadState()
    room = min(room or TCP_ROOM, TCP_ROOM if tcp else ROOM)
    if len(payload) > room:
        raise ValueError(f"a payload of {len(payload)} bytes: at most {room} fit")
    memcpy(buffer, <const char *>payload, len(payload))
    rq.payload, rq.length, rq.room = buffer, len(payload), room
    rq.tcp, rq.reply_sum = tcp, REPLY_SUM_NONE
    rq.source, rq.source_port = source_bytes, source[1]
    rq.ip_version = 4 if len(source_bytes) == 4 else 6
    rq.service = SERVICES[service]
    rq.rx_ns = rx_ns
    if not snapshot.c.port[rq.service]:
        raise ValueError(f"{service} is off in this snapshot")
    begin_batch(state, snapshot, rx_ns, mono_ns)
    v = answer_c(snapshot.c, state.c, &rq, &record)
    name = VERDICTS[v - VERDICT_FIRST].name
    if not verdict_answers(v):
        return name, None
    if rq.service == SERVICE_ntp:
        record.payload, record.sum = buffer, 0
        tx_finish(state.c, &record, ntp_time(tx_ns))
    return name, buffer[:rq.length]


def answer_frame(Snapshot snapshot not None, bytes data not None, uint64_t rx_ns=0,
                 uint64_t tx_ns=0, uint64_t mono_ns=0, ThreadState state=None):
    """Answers an Ethernet frame of at most 1792 bytes as the loop does; returns like ``answer``."""
    cdef uint8_t buffer[XDPKIT_MAX_FRAME]
    cdef request rq
    cdef tx_record record
    cdef frame f
    cdef verdict v
    cdef uint32_t length
    state = state or ThreadState()
    if len(data) > XDPKIT_MAX_FRAME:
        raise ValueError(f"a frame of {len(data)} bytes does not fit a chunk")
    memcpy(buffer, <const char *>data, len(data))
    begin_batch(state, snapshot, rx_ns, mono_ns)
    v = frame_parse(snapshot.c, buffer, len(data), XDPKIT_MAX_FRAME, &f, &rq)
    if v == VERDICT_PENDING:
        rq.rx_ns = rx_ns
        v = answer_c(snapshot.c, state.c, &rq, &record)
    name = VERDICTS[v - VERDICT_FIRST].name
    if not verdict_answers(v):
        return name, None
    length = frame_turn(&f, &rq)
    if rq.service == SERVICE_ntp:
        record.payload, record.sum, record.completion = rq.payload, f.sum, NULL
        tx_finish(state.c, &record, ntp_time(tx_ns))
    return name, buffer[:length]


cdef object begin_batch(ThreadState state, Snapshot snapshot, uint64_t rx_ns, uint64_t mono_ns):
    """A batch of one request, at the time of its arrival; the caller makes any step of UTC."""
    cdef batch_clock clock
    memset(&clock, 0, sizeof(clock))
    clock.utc_ns, clock.mono_ns = rx_ns, mono_ns
    clock.utc_to_mono_ns = <int64_t>(mono_ns - rx_ns)
    thread_state_begin_batch(state.c, snapshot.c, &clock)
