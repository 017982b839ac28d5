"""The sums of where packets went, what a ring's statistics mean, and rates."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from xdpkit._core._stats import VERDICTS
from xdpkit.status.document import Obtained, VerdictCounts, document
from xdpkit.status.places import PLACES
from xdpkit.status.rates import add_rates
from xdpkit.status.where import FIELDS, queue_losses, where
from xdpkit.status.where_view import where_parts

OBTAINED = Obtained("eth1", "native", False, "xdp", 4711, 1.0)
COUNTS = st.lists(st.integers(0, 2**50), min_size=len(VERDICTS), max_size=len(VERDICTS))
LOST = st.fixed_dictionaries(
    {place: st.integers(0, 2**40) for place in ("fill_ring", "rx_ring", "xsk", "tx_ring")}
)


def built(
    workers: dict[int, list[int]],
    xdp: dict[int, list[int]],
    udp: list[int],
    lost: dict[str, int],
    pending: int = 0,
) -> dict[str, Any]:
    made = document(VERDICTS, OBTAINED, VerdictCounts(workers, xdp, udp))
    for facts in made["queues"].values():
        facts |= {"lost": lost, "loop": {"tx_pending": pending}}
    made["slow_path"]["udp"] |= {"lost": 7, "lost_at": [["udp_socket", "192.0.2.1:53", 7]]}
    return made | {"nic": {"lost": 3}}


@given(COUNTS, COUNTS, COUNTS, LOST, st.integers(0, 4096))
def test_every_sum_adds_up(
    worker: list[int], xdp: list[int], udp: list[int], lost: dict[str, int], pending: int
) -> None:
    sums = where(built({2: worker}, {2: xdp, 0: xdp}, udp, lost, pending), VERDICTS)["sums"]
    assert [row["what"] for row in sums] == ["queue 0", "queue 2", "slow path UDP"]
    for row in sums:
        assert row["received"] == sum(row[part] for part in FIELDS[1:])
        assert row["in_transit"] >= 0
    kinds = {name: [i for i, v in enumerate(VERDICTS) if v.kind == name] for name in ("pass",)}
    assert sums[1]["passed"] == sum(xdp[i] for i in kinds["pass"])
    assert sums[1]["lost"] == sum(lost.values())


def test_each_frame_is_lost_once() -> None:
    """In copy mode the kernel counts one without a free frame twice."""
    statistics = {
        **{"rx_dropped": 24_169, "rx_fill_ring_empty_descs": 24_169, "rx_ring_full": 5},
        **{"rx_invalid_descs": 0, "tx_invalid_descs": 2, "tx_ring_empty_descs": 1000},
    }
    lost = {"fill_ring": 24_169, "rx_ring": 5, "xsk": 0, "tx_ring": 2}
    assert queue_losses(statistics, {}) == lost
    # A predecessor's are not ours.
    assert sum(queue_losses(statistics, statistics).values()) == 0
    # With zero-copy these are the driver's tries.
    assert queue_losses(statistics | {"rx_dropped": 0}, {})["fill_ring"] == 0


def test_every_place_has_its_words() -> None:
    none = dict.fromkeys(("fill_ring", "rx_ring", "xsk", "tx_ring"), 0)
    rows = where(built({2: [0] * len(VERDICTS)}, {}, [0] * len(VERDICTS), none), VERDICTS)["lost"]
    assert {row["place"] for row in rows} <= set(PLACES)
    assert [(row["place"], row["at"], row["packets"]) for row in rows if row["packets"]] == [
        ("nic_ring", "eth1", 3),
        ("udp_socket", "UDP 192.0.2.1:53", 7),
    ]


def test_rates_and_marks() -> None:
    zeros = [0] * len(VERDICTS)
    lost = {"fill_ring": 100, "rx_ring": 0, "xsk": 0, "tx_ring": 0}
    before = where(built({2: zeros}, {}, zeros, lost), VERDICTS)
    now = where(built({2: zeros}, {}, zeros, lost | {"rx_ring": 50}), VERDICTS)
    first = shown(now)
    assert [line.split()[:3] for line in first if line.startswith(">")] == [
        [">", "fill", "ring"],
        [">", "rx", "ring"],
        [">", "udp", "socket"],
        [">", "nic", "ring"],
    ]
    add_rates(now, before, 2.0)
    [row] = [row for row in now["sums"] if row["what"] == "queue 2"]
    assert row["per_second"]["lost"] == row["per_second"]["received"] == 25.0
    [line] = [line for line in shown(now) if line.startswith(">")]
    assert line.split()[:5] == [">", "rx", "ring", "50", "25.0"]
    assert "[interface] queues" in line


def shown(found: dict[str, Any]) -> list[str]:
    console = Console(file=io.StringIO(), width=250)
    for part in where_parts(found):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()
