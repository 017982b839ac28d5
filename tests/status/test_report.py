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
from xdpkit.slowpath.tcp import TcpSlowPath

SNAPSHOT = Snapshot({"ntp": 123})
LOOP = {
    *("csum_partial", "stamp_hw", "stamp_xdp", "stamp_kernel", "stamp_clock"),
    *("batches", "kicks", "waits", "heartbeat"),
}
ANSWERING = {
    *("rx", "tx", "answered", "dropped", "thread", "loop"),
    *("latency", "latency_ns", "latency_sum_ns", "latency_from"),
}
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
    return path


def dataplane(queues: tuple[int, ...]) -> Any:
    return SimpleNamespace(
        interface=SimpleNamespace(name="eth1"),
        mode="native",
        zerocopy=False,
        timestamps="xdp",
        queues=[
            SimpleNamespace(
                number=number,
                worker=listener(),
                socket=SimpleNamespace(statistics=lambda: {"rx_dropped": 7}),
                detached=False,
            )
            for number in queues
        ],
        xdp_counters=lambda: {queue: [queue, 1] for queue in range(3)},
    )


def document(plane: Any, udp: Any, tcp: Any, dns: Mapping[str, Any] | None) -> dict[str, Any]:
    return report.document(
        read_counters(plane, cast(Any, SimpleNamespace(udp=udp, tcp=tcp))),
        plane,
        left={"ntp"},
        zones={},
        uptime_s=1.0,
        ntp={"source": None},
        keys={7: 0},
        dns=dns,
    )


def test_every_part_has_its_keys() -> None:
    udp = SimpleNamespace(listener=listener())
    facts = document(dataplane((0, 2)), udp, tcp_path(), {"arena": {"names": 1}})
    assert set(facts) == {
        *("interface", "mode", "zerocopy", "steering", "timestamps", "pid", "uptime_s"),
        *("queues", "slow_path", "xdp", "verdicts", "zones", "ntp", "dns", "not_served"),
    }
    assert set(facts["queues"]) == {"0", "2"}
    for queue in facts["queues"].values():
        assert set(queue) == ANSWERING | {"detached", "dead", "socket", "ntp"}
        assert set(queue["loop"]) == LOOP
        assert set(queue["ntp"]) == NTP_OF_A_THREAD
        assert queue["socket"] == {"rx_dropped": 7}
    udp_facts, tcp_facts = facts["slow_path"]["udp"], facts["slow_path"]["tcp"]
    assert set(udp_facts) == ANSWERING | {"left_to_others", "ntp"}
    assert set(udp_facts["loop"]) == set(tcp_facts["loop"]) == LOOP
    assert set(tcp_facts) == ANSWERING | {
        *("listening", "connections", "open", "accepted", "queries", "pauses", "ended"),
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
    assert set(facts["dns"]) == {"cookies", "rrl", "arena"}
    assert set(facts["dns"]["cookies"]) == {"valid", "client", "bad", "malformed"}
    assert set(facts["dns"]["rrl"]) == {"limited", "slipped", "badcookie"}


def test_what_is_off_is_not_there() -> None:
    facts = document(dataplane((1,)), None, None, None)
    assert facts["slow_path"] == {}
    assert "dns" not in facts


def test_the_threads_have_names_for_people() -> None:
    udp: Any = SimpleNamespace(listener=listener())
    counters = read_threads(dataplane((3, 5)), cast(Any, SimpleNamespace(udp=udp, tcp=tcp_path())))
    names = [thread.name for thread in counters.threads]
    assert names == ["queue 3", "queue 5", "the UDP listener", "the TCP listener"]
    assert [thread.queue for thread in counters.threads] == [3, 5, None, None]


def test_a_heartbeat_is_the_counter_of_that_name() -> None:
    for thread in (listener(), tcp_path().listener):
        assert thread.heartbeat == thread.counters()["heartbeat"] == 0
