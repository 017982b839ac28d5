# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""The definitions of ``ebpf/steer.h`` and ``service.h`` for Python; counters."""

from typing import NamedTuple

cdef extern from * nogil:
    """
    static const char *const verdict_names[] = {
    #define XDPKIT_VERDICT_NAME(name, class, text) #name,
        XDPKIT_VERDICTS(XDPKIT_VERDICT_NAME)
    };
    static const unsigned char verdict_kinds[] = {
    #define XDPKIT_VERDICT_KIND(name, class, text) KIND_##class,
        XDPKIT_VERDICTS(XDPKIT_VERDICT_KIND)
    };
    static const char *const verdict_texts[] = {
    #define XDPKIT_VERDICT_TEXT(name, class, text) text,
        XDPKIT_VERDICTS(XDPKIT_VERDICT_TEXT)
    };
    static const char *const service_names[] = {
        "none",
    #define XDPKIT_SERVICE_NAME(name) #name,
        XDPKIT_SERVICES(XDPKIT_SERVICE_NAME)
    };
    _Static_assert((int)STEER_VERDICT_END <= STEER_VERDICT_SLOTS, "a slot for each verdict");
    _Static_assert(sizeof(struct steer_key) == 24, "no padding: map keys are compared as bytes");
    """
    const char *verdict_names[]
    const unsigned char verdict_kinds[]
    const char *verdict_texts[]
    const char *service_names[]


class Verdict(NamedTuple):
    """One verdict a packet can meet; its index in VERDICTS plus VERDICT_FIRST is its ID."""

    name: str
    kind: str
    text: str


# In the order of enum verdict_kind (runtime/stats.h).
KINDS = ("take", "pass", "answer", "drop")
VERDICTS = tuple(
    Verdict(verdict_names[i].decode(), KINDS[verdict_kinds[i]], verdict_texts[i].decode())
    for i in range(VERDICT_COUNT - 1)
)
# The IDs of enum service_id by name.
SERVICES = {service_names[i].decode(): i for i in range(1, SERVICE_COUNT)}
QUEUES = STEER_QUEUES
# The ID of VERDICTS[0] in eBPF and C: 0 is VERDICT_PENDING.
VERDICT_FIRST = 1
VERDICT_SLOTS = STEER_VERDICT_SLOTS
# The verdicts before this index are counted by the XDP program.
VERDICT_END = STEER_VERDICT_END - VERDICT_FIRST
KEYS = STEER_KEYS
CHUNK = XDPKIT_CHUNK
META_BYTES = sizeof(steer_meta)
# The call in steer.c that bpf/kfunc.py replaces.
RX_TIMESTAMP_CALL = STEER_RX_TIMESTAMP_CALL
MAX_FRAME = XDPKIT_MAX_FRAME


cdef dict stats_dict(const stats *s):
    """A copy of a thread's counters; ``verdicts`` is in the order of VERDICTS."""
    return {
        "verdicts": [s.verdict[i] for i in range(VERDICT_FIRST, VERDICT_COUNT)],
        "csum_partial": s.csum_partial,
        "stamp_hw": s.stamp_hw,
        "stamp_xdp": s.stamp_xdp,
        "stamp_kernel": s.stamp_kernel,
        "stamp_clock": s.stamp_clock,
        "batches": s.batches,
        "kicks": s.kicks,
        "waits": s.waits,
        "heartbeat": s.heartbeat,
    }
