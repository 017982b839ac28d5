"""Losses above a bound, over a window."""

from __future__ import annotations

from typing import Any

from xdpkit.instance.loss_watch import WINDOW_SECONDS, LossWatch


def where(received: int, lost: int, slow: tuple[int, int] = (0, 0), nic: int = 0) -> dict[str, Any]:
    sums = [
        {"what": "queue 2", "path": "ring", "received": received, "lost": lost},
        {"what": "slow path UDP", "path": "slow_path_udp", "received": slow[0], "lost": slow[1]},
    ]
    places = [
        {"place": "fill_ring", "at": "queue 2", "packets": lost},
        {"place": "udp_socket", "at": "UDP 192.0.2.1:53", "packets": slow[1]},
        {"place": "nic_ring", "at": "eth1", "packets": nic},
    ]
    return {"sums": sums, "lost": places}


def told(watch: LossWatch, now: dict[str, Any], at: float, ppm: int = 1000) -> list[str]:
    found = watch.problems(now, at, ppm)
    assert all(each.kind == "losses" and not each.down for each in found)
    return [each.text for each in found]


def test_the_share_of_each_row_counts() -> None:
    watch = LossWatch()
    assert told(watch, where(0, 0), 0) == []
    watch.sample(where(1_000_000, 50), 0)
    assert told(watch, where(2_000_000, 1050), 5) == []
    [line] = told(watch, where(2_000_000, 1051), 5)
    assert line.startswith("queue 2 lost 1,001 packets in 5 s, 0.1 % of those that came: no free")
    assert "(queue 2)" in line
    # A flood of the slow path is not hidden by what the ring answers.
    [line] = told(watch, where(900_000_000, 50, (1000, 500)), 5)
    assert line.startswith("slow path UDP lost 500 packets") and "UDP 192.0.2.1:53" in line
    [line] = told(watch, where(2_000_000, 50, nic=5000), 5)
    assert line.startswith("the NIC lost 5,000") and "ethtool -G eth1" in line


def test_the_bound() -> None:
    watch = LossWatch()
    watch.sample(where(0, 0), 0)
    assert told(watch, where(1_000_000, 1), 5, ppm=1) == []
    assert len(told(watch, where(1_000_000, 2), 5, ppm=1)) == 1
    assert len(told(watch, where(1_000_000, 1), 5, ppm=0)) == 1
    assert told(watch, where(1000, 1000), 5, ppm=1_000_000) == []


def test_it_is_forgotten_after_the_window() -> None:
    watch = LossWatch()
    for at in range(0, 200, 5):
        lost = 5000 if at > 20 else 0
        now = where(1000 * at + 5000, lost)
        watch.sample(now, at)
        assert bool(told(watch, now, at)) == (20 < at <= 20 + WINDOW_SECONDS), at
