"""The whole status document of an instance with every part: which keys it has."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import SharedSnapshot, Snapshot
from xdpkit._core._stats import VERDICTS
from xdpkit._core._tcp_listener import TcpListener
from xdpkit._core._thread_state import ThreadState
from xdpkit._core._udp_listener import UdpListener
from xdpkit.instance import report
from xdpkit.instance.counters import read_counters, read_threads
from xdpkit.nic.os.ring_losses import RingLosses
from xdpkit.slowpath.losses import SocketLosses
from xdpkit.slowpath.tcp import TcpSlowPath

SNAPSHOT = Snapshot({"ntp": 123})
LOOP = {
    *("csum_partial", "stamp_hw", "stamp_xdp", "stamp_kernel", "stamp_clock"),
    *("batches", "kicks", "waits", "heartbeat"),
}
ANSWERING = {
    *("rx", "tx", "answered", "dropped", "thread", "loop", "lost"),
    *("latency", "latency_ns", "latency_sum_ns", "latency_from"),
}
# XDP_STATISTICS: for three frames of seven the fill ring had none, in copy mode.
STATISTICS = {
    **{"rx_dropped": 7, "rx_invalid_descs": 0, "tx_invalid_descs": 2, "rx_ring_full": 4},
    **{"rx_fill_ring_empty_descs": 3, "tx_ring_empty_descs": 9},
}
RINGS = {"rx_pending": 1, "tx_pending": 0, "tx_lost": 5}
NTP_OF_A_THREAD = {
    *("tx_timestamps", "tx_true", "tx_missing", "tx_disbelieved", "tx_compensation"),
    *("tx_error_ns", "tx_error", "clock_steps", "leaked"),
}


def listener() -> UdpListener:
    """A thread that was never started, and has answered one NTP request."""
    state = ThreadState()
    answer(SNAPSHOT, "ntp", b"\x23" + bytes(47), ("192.0.2.1", 4000), state=state)
    return UdpListener(SharedSnapshot(SNAPSHOT), state)


def tcp_path() -> TcpSlowPath:
    path = TcpSlowPath.__new__(TcpSlowPath)
    path.config = cast(Any, SimpleNamespace(tcp_connections=8))
    path.listener = TcpListener(
        SharedSnapshot(SNAPSHOT), ThreadState(), connections=8, idle_ns=10**9
    )
    path._sockets = {}
    path.losses = SocketLosses()
    return path


def udp_path() -> Any:
    return SimpleNamespace(
        listener=listener(),
        losses=SimpleNamespace(closed=3),
        lost=lambda: {("192.0.2.1", "dns", 53): 0, ("2001:db8::1", "dns", 53): 4_294_967_300},
    )


def slow_path(udp: Any, tcp: Any) -> Any:
    listeners = [(name, path) for name, path in (("UDP", udp), ("TCP", tcp)) if path]
    return SimpleNamespace(udp=udp, tcp=tcp, listeners=lambda: iter(listeners))


def queue(number: int) -> Any:
    worker = listener()
    return SimpleNamespace(
        number=number,
        worker=worker,
        counters=lambda: {**worker.counters(), **RINGS},
        socket=SimpleNamespace(statistics=lambda: STATISTICS),
        detached=False,
        lost_before={"rx_dropped": 1, "rx_fill_ring_empty_descs": 1},
    )


def dataplane(queues: tuple[int, ...]) -> Any:
    return SimpleNamespace(
        interface=SimpleNamespace(name="eth1"),
        mode="native",
        zerocopy=False,
        timestamps="xdp",
        queues=[queue(number) for number in queues],
        xdp_counters=lambda: {queue: [queue, 1] for queue in range(3)},
    )


def document(plane: Any, udp: Any, tcp: Any, dns: Mapping[str, Any] | None) -> dict[str, Any]:
    nic = RingLosses(12, {"rx_missed_errors": 12})
    counters = read_counters(plane, slow_path(udp, tcp), nic)
    return report.document(
        report.counted(counters, plane, {"ntp"}),
        counters,
        zones={},
        uptime_s=1.0,
        ntp={"source": None},
        keys={7: 0},
        dns=dns,
    )


def test_every_part_has_its_keys() -> None:
    udp = udp_path()
    facts = document(dataplane((0, 2)), udp, tcp_path(), {"arena": {"names": 1}})
    assert set(facts) == {
        *("interface", "mode", "zerocopy", "steering", "timestamps", "pid", "uptime_s"),
        *("queues", "slow_path", "xdp", "verdicts", "zones", "ntp", "dns", "not_served"),
        *("nic", "where"),
    }
    assert set(facts["queues"]) == {"0", "2"}
    for queue in facts["queues"].values():
        assert set(queue) == ANSWERING | {"detached", "dead", "socket", "ntp"}
        assert set(queue["loop"]) == LOOP | set(RINGS)
        assert set(queue["ntp"]) == NTP_OF_A_THREAD
        assert queue["socket"] == STATISTICS
        assert queue["lost"] == {"fill_ring": 2, "rx_ring": 4, "xsk": 4, "tx_ring": 7}
    udp_facts, tcp_facts = facts["slow_path"]["udp"], facts["slow_path"]["tcp"]
    assert set(udp_facts) == ANSWERING | {"left_to_others", "ntp", "lost_at"}
    assert udp_facts["lost"] == 4_294_967_303
    assert udp_facts["lost_at"] == [
        ["udp_socket", "", 3],
        ["udp_socket", "[2001:db8::1]:53", 4_294_967_300],
    ]
    assert set(udp_facts["loop"]) == set(tcp_facts["loop"]) == LOOP
    assert set(tcp_facts) == ANSWERING | {
        *("listening", "connections", "open", "accepted", "queries", "pauses", "ended", "lost_at"),
    }
    assert facts["xdp"]["2"] == {VERDICTS[0].name: 2, VERDICTS[1].name: 1}
    assert set(facts["verdicts"]) == {verdict.name for verdict in VERDICTS}
    assert facts["ntp"] == {
        "source": None,
        "clients": 1,
        "versions": {"4": 3},
        "modes": {"client": 3},
        "keys": {"7": 0},
    }
    assert set(facts["dns"]) == {"cookies", "rrl", "traffic", "arena"}
    assert set(facts["dns"]["cookies"]) == {"valid", "client", "bad", "malformed"}
    assert set(facts["dns"]["rrl"]) == {"limited", "slipped", "badcookie"}


def test_what_is_off_is_not_there() -> None:
    facts = document(dataplane((1,)), None, None, None)
    assert facts["slow_path"] == {}
    assert "dns" not in facts


def test_the_threads_have_names_for_people() -> None:
    counters = read_threads(dataplane((3, 5)), slow_path(udp_path(), tcp_path()))
    names = [thread.name for thread in counters.threads]
    assert names == ["queue 3", "queue 5", "the UDP listener", "the TCP listener"]
    assert [thread.queue for thread in counters.threads] == [3, 5, None, None]


def test_a_heartbeat_is_the_counter_of_that_name() -> None:
    for thread in (listener(), tcp_path().listener):
        assert thread.heartbeat == thread.counters()["heartbeat"] == 0
