"""Documents as built by ``xdpkit.instance.report``, with counts chosen by a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._stats import VERDICTS
from xdpkit._core._thread_state import ThreadState
from xdpkit.config.ntp import NtpConfig
from xdpkit.runtime.health import Health, Reason
from xdpkit.services.ntp.counts import thread_facts, total_facts
from xdpkit.services.ntp.source import NtpSource
from xdpkit.status import document as status

OBTAINED = status.Obtained("eth1", "native", False, "xdp", 4711, 3723.45678, "ntuple")
LOOP = {
    "csum_partial": 1,
    "stamp_xdp": 2,
    "stamp_kernel": 3,
    "stamp_clock": 4,
    "batches": 5,
    "kicks": 6,
    "waits": 7,
    "heartbeat": 8,
}
LOST = {"fill_ring": 1, "rx_ring": 2, "xsk": 0, "tx_ring": 4}
LOST_AT = [["udp_socket", "", 5], ["udp_socket", "192.0.2.1:53", 6], ["udp_socket", "[::1]:53", 7]]
HEALTH = Health.of(
    [
        Reason("zone_stale", "zone a: stale"),
        Reason("zone_stale", "and 3 more", count=3),
        Reason("link_down", "eth1 is down", down=True),
    ]
)
TRAFFIC = {
    "protocols": {"udp4-xdp": 7, "udp6": 0},
    "types": {"A": 4, "other": 3},
    "zones": {"a.example": 5},
    "edns": 6,
    "do": 2,
    "query_bytes": 500,
    "reply_bytes": 900,
    "query_sizes": {"16-31": 1, "32-47": 2, "288-65535": 4},
    "reply_sizes": {"1216-1231": 5, "1232-1247": 2},
}
SOCKET = {
    "rx_dropped": 1,
    "rx_invalid_descs": 2,
    "tx_invalid_descs": 3,
    "rx_ring_full": 4,
    "rx_fill_ring_empty_descs": 5,
    "tx_ring_empty_descs": 6,
}


def with_requests(state: ThreadState) -> ThreadState:
    """Answers seven requests of four versions and two modes, from three clients."""
    for first in (0x1B, 0x23, 0x23, 0x13, 0x0B, 0x21, 0x08):
        source = (f"192.0.2.{first % 3 + 1}", 4000)
        answer(Snapshot({"ntp": 123}), "ntp", bytes([first]) + bytes(47), source, state=state)
    return state


def document(
    workers: Mapping[int, Sequence[int]],
    xdp: Mapping[int, Sequence[int]],
    udp: Sequence[int] | None = None,
    ntp: Mapping[str, Any] | None = None,
    zones: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """As built by ``xdpkit.instance.report``; without ``udp`` there is no slow path."""
    counters = status.VerdictCounts(workers, xdp, udp)
    built = status.document(VERDICTS, OBTAINED, counters, zones)
    for facts in built["queues"].values():
        facts |= {"detached": False, "thread": 1, "loop": LOOP, "socket": SOCKET, "lost": LOST}
    for facts in built["slow_path"].values():
        facts |= {"thread": 2, "loop": LOOP, "left_to_others": ["ntp"], "lost_at": LOST_AT}
    built["nic"] = {"lost": 9}
    built["health"] = HEALTH.facts()
    built["dns"] = {"traffic": TRAFFIC}
    built["not_served"] = [
        {"protocol": "udp", "service": "dns", "address": address, "port": 53, "reason": "in use"}
        for address in ("192.0.2.1", "2001:db8::1")
    ]
    if ntp is not None:
        state = with_requests(ThreadState())
        for facts in [*built["queues"].values(), *built["slow_path"].values()]:
            facts["ntp"] = thread_facts(state.counters())
        built["ntp"] = {**ntp, **total_facts([state.counters()], {7: 0, 4_294_967_295: 300})}
    return built


def ntp_facts() -> dict[str, Any]:
    source = NtpSource(NtpConfig(stratum=3, refid="192.0.2.7"), lambda fields: None)
    source._choose()
    return source.facts()
