"""From the threads' counters to the facts in ``status``."""

from __future__ import annotations

import ipaddress
import random

import pytest

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._thread_state import ThreadState
from xdpkit.services.ntp.counts import estimate_clients, quantile, thread_facts, total_facts

SERVER = Snapshot({"ntp": 123})
REQUEST = bytes([0x23]) + bytes(47)


def asked_by(state: ThreadState, addresses: list[str]) -> bytes:
    for address in addresses:
        answer(SERVER, "ntp", REQUEST, (address, 40000), state=state)
    sketch: bytes = state.counters()["clients"]
    return sketch


@pytest.mark.parametrize("count", [0, 1, 10, 300, 5000, 40_000])
def test_clients_are_counted_to_a_few_percent(count: int) -> None:
    state = ThreadState()
    draw = random.Random(count)
    ipv4 = [str(ipaddress.IPv4Address(draw.randrange(1 << 24, 223 << 24))) for _ in range(count)]
    ipv4 = [address for address in ipv4 if not address.startswith("127.")]
    ipv6 = [str(ipaddress.IPv6Address((0x20010DB8 << 96) + i)) for i in range(count // 2)]
    sketch = asked_by(state, [*ipv4, *ipv6, *ipv4])
    exact = len({*ipv4, *ipv6})
    # Four standard errors of 1.6 %.
    assert abs(estimate_clients([sketch]) - exact) <= 0.065 * exact + 1


def test_sketches_merge() -> None:
    here = asked_by(ThreadState(), [f"198.51.{i}.{j}" for i in range(4) for j in range(200)])
    there = asked_by(ThreadState(), [f"198.51.{i}.{j}" for i in range(2, 6) for j in range(200)])
    assert abs(estimate_clients([here, there]) - 1200) < 80


def test_quantiles() -> None:
    histogram = {-100: 10, 0: 80, 1000: 10}
    assert [quantile(histogram, share) for share in (0.05, 0.1, 0.5, 0.91, 1)] == [
        -100,
        -100,
        0,
        1000,
        1000,
    ]


def test_a_thread_that_did_nothing_has_facts() -> None:
    facts = thread_facts(ThreadState().counters())
    assert facts["tx_timestamps"] == "kick"
    assert facts["tx_error_ns"] == {} and facts["tx_error"] == {}
    assert total_facts([ThreadState().counters()], {7: 0, 9: 300}) == {
        "clients": 0,
        "versions": {},
        "modes": {},
        "keys": {"7": 0, "9": 0},
    }
