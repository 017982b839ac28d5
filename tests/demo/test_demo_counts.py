# SPDX-License-Identifier: Apache-2.0
"""What ``xdpkit demo`` needs, and which counts ``--interface`` accepts."""

from __future__ import annotations

from typing import Any

import pytest

from xdpkit.config import load
from xdpkit.demo import lab as demo
from xdpkit.demo.interface import Wanted, counts, judge
from xdpkit.errors import LabError

WANTED = Wanted("eth1", 1, "generic", 100)


def status(redirected: int, answered: int, slow: int, **xdp: dict[str, int]) -> dict[str, Any]:
    return {
        "queues": {"1": {"rx": redirected, "tx": answered}},
        "slow_path": {"udp": {"rx": slow, "tx": slow}},
        "xdp": {name.removeprefix("q"): verdicts for name, verdicts in xdp.items()},
    }


def right(document: dict[str, Any]) -> bool:
    return all(good for _, good in judge(counts(document, 1), WANTED))


ONE = {"redirected": 30, "arp": 1}
REST = {"other_queue": 70}


def test_right_counts() -> None:
    assert right(status(30, 30, 70, q0=REST, q1=ONE))
    assert right(status(30, 30, 70, q0={"other_queue": 69}, q1=ONE, q3={"other_queue": 1}))


@pytest.mark.parametrize(
    "document",
    [
        status(30, 29, 70, q0=REST, q1=ONE),
        status(30, 30, 69, q0=REST, q1=ONE),
        status(31, 31, 69, q0={"other_queue": 69}, q1=ONE),
        status(30, 30, 71, q0={"other_queue": 71}, q1=ONE),
        status(0, 0, 100, q0={"other_queue": 100}),
        status(100, 100, 0, q1={"redirected": 100}),
        status(30, 30, 70, q0={"redirected": 30}, q1=REST),
        status(30, 30, 70, q0=REST, q1=ONE, q2={"redirected": 1}),
        status(30, 30, 70, q0={"other_queue": 60}, q1={"redirected": 30, "other_queue": 10}),
    ],
    ids=[
        "an answer is missing",
        "the slow path missed one",
        "more received than expected",
        "one too many",
        "nothing redirected",
        "nothing for the slow path",
        "another queue was redirected",
        "a second queue was redirected",
        "the chosen queue passed some",
    ],
)
def test_wrong_counts(document: dict[str, Any]) -> None:
    assert not right(document)


def test_what_is_served(tmp_path: Any) -> None:
    (tmp_path / "zones").mkdir()
    (tmp_path / "xdpkit.toml").write_text(WANTED.configuration())
    loaded = load(tmp_path / "xdpkit.toml")
    interface = loaded.interface
    assert (interface.name, interface.queues, interface.mode) == ("eth1", (1,), "generic")
    assert loaded.ports() == {"ntp": 123, "dns": 53, "echo": 7}


def test_clients_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(
        LabError, match=r"dig and ping.*apt-get install bind9-dnsutils iputils-ping"
    ):
        demo.main()
