"""Source selection: what is published when, what is logged, what status says."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from time_server import Fault, TimeServer, put, right, silent

from xdpkit._core._clock import adjtimex
from xdpkit._core._snapshot import Snapshot
from xdpkit.config.ntp import NtpConfig
from xdpkit.services.ntp import source as ntp_source
from xdpkit.services.ntp.kernel import is_disciplined
from xdpkit.services.ntp.source import NtpSource

PATIENCE = 30.0

Published = list[dict[str, int]]
FIELDS = {
    "leap",
    "stratum",
    "precision",
    "root_delay",
    "root_dispersion",
    "refid",
    "reference",
    "updated_ns",
    "expires_ns",
    "drift_ppm",
    "leap_ends_ns",
    "mono_epoch",
}


@asynccontextmanager
async def running(config: NtpConfig) -> AsyncIterator[tuple[NtpSource, Published]]:
    published: Published = []
    with NtpSource(config, published.append) as source:
        await source.start()
        assert len(published) == 1
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(source.run)
            yield source, published
            tasks.cancel_scope.cancel()
    for state in published:
        assert set(state) == FIELDS
        Snapshot({"ntp": 123}, ntp=state)


async def eventually(ask: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ask():
        assert time.monotonic() < deadline
        await anyio.sleep(0.02)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "xdpkit"]


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "xdpkit")


@pytest.fixture
def polled_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that are not about the poll interval."""
    monkeypatch.setattr(ntp_source, "POLL_SECONDS", 0.25)


def test_local_alone_is_published_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        config = NtpConfig(stratum=1, refid="LOCL")
        async with running(config) as (source, published):
            await anyio.sleep(1.5)
            assert len(published) == 1
            [state] = published
            assert (state["stratum"], state["refid"], state["leap"]) == (1, 0x4C4F434C, 0)
            facts = source.facts()
        assert facts == {
            "source": "local",
            "synchronised": True,
            "leap": 0,
            "stratum": 1,
            "refid": "LOCL",
            "root_delay_s": 0.0,
            "root_dispersion_s": 0.0,
            "age_s": 0.0,
            "sources": [
                {"name": "local", "state": "synchronised", "polls": 0, "answers": 0, "ignored": {}}
            ],
        }

    anyio.run(main)
    assert lines(caplog) == ["NTP time is from local: stratum 1, reference ID LOCL"]


def test_the_kernel_is_polled_every_second() -> None:
    disciplined = is_disciplined(adjtimex()[1])

    async def main() -> None:
        async with running(NtpConfig(source=("kernel",), stratum=4)) as (source, published):
            await eventually(lambda: source.facts()["sources"][0]["polls"] > 2)
            assert source.facts()["synchronised"] == disciplined
            assert (published[-1]["leap"] == 3) == (not disciplined)
            assert published[-1]["stratum"] == (4 if disciplined else 0)

    anyio.run(main)


@pytest.mark.usefixtures("polled_often")
def test_a_daemon_comes_goes_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    """Unsynchronized, synchronized, holdover, and so on: one log line per change.

    Only changes are published, and never a mixture of two states.
    """

    async def main() -> None:
        with TimeServer(put(0, 3 << 6 | 4 << 3 | 4)) as daemon:
            config = NtpConfig(source=(daemon.where,), holdover=4)
            async with running(config) as (source, published):
                first = published[0]
                assert (first["leap"], first["stratum"], first["refid"]) == (3, 0, 0)
                assert (first["root_delay"], first["root_dispersion"]) == (65536, 65536)
                assert (first["reference"], first["leap_ends_ns"]) == (0, 0)
                polls = source.facts()["sources"][0]["polls"]
                await eventually(lambda: source.facts()["sources"][0]["polls"] > polls + 1)
                assert published == [first]
                assert source.facts()["source"] is None and source.facts()["age_s"] is None

                daemon.fault = right
                await eventually(lambda: source.facts()["synchronised"])
                assert (published[-1]["leap"], published[-1]["stratum"]) == (0, 3)
                assert published[-1]["expires_ns"] == published[-1]["updated_ns"] + 4 * 10**9
                count = len(published)
                await eventually(lambda: len(published) > count + 1)
                assert published[-1]["updated_ns"] > published[-2]["updated_ns"]
                facts = source.facts()
                assert (facts["source"], facts["refid"]) == (str(daemon.where), "192.0.2.7")
                assert facts["root_dispersion_s"] >= 0x5679 / 65536 - 1e-6

                daemon.fault = silent
                await eventually(lambda: source.facts()["sources"][0]["state"] == "holdover")
                held = published[-1]
                await eventually(lambda: not source.facts()["synchronised"])
                assert time.monotonic_ns() >= held["expires_ns"]
                assert published[-2:] == [held, first]

                daemon.fault = right
                await eventually(lambda: source.facts()["synchronised"])
                assert published[-1]["stratum"] == 3
        epochs = {state["mono_epoch"] for state in published}
        assert len(epochs) == 1
        name = str(daemon.where)
        unsynchronized, back = "NTP is not synchronized", f"NTP time is from {name}: stratum 3"
        messages = lines(caplog)
        assert [line.startswith(unsynchronized) for line in messages] == [True, False, True, False]
        assert messages[1] == messages[3] == f"{back}, reference ID 192.0.2.7"
        assert f"{name}: it is not synchronized itself: 'chronyc tracking'" in messages[0]
        assert f"{name}: it does not answer: make it allow us" in messages[2]

    anyio.run(main)


@pytest.mark.usefixtures("polled_often")
def test_the_first_synchronized_source(caplog: pytest.LogCaptureFixture) -> None:
    """In configuration order, whichever answers first, and back to the better one."""

    async def main() -> None:
        with (
            TimeServer(put(1, 16), stratum=2) as best,
            TimeServer(stratum=5) as second,
        ):
            config = NtpConfig(source=(best.where, second.where, "local"), holdover=3)
            async with running(config) as (source, published):
                assert published[0]["stratum"] == 5
                best.fault = right
                await eventually(lambda: source.facts()["stratum"] == 2)
                best.fault = put(1, 0)
                await eventually(lambda: source.facts()["stratum"] == 5)
                second.fault = put(1, 0)
                await eventually(lambda: source.facts()["source"] == "local")
                assert [entry["state"] for entry in source.facts()["sources"]] == [
                    "unsynchronised",
                    "unsynchronised",
                    "synchronised",
                ]
                best.fault = right
                await eventually(lambda: source.facts()["stratum"] == 2)
        messages = [line.split("(")[0].split(":")[-1] for line in lines(caplog)]
        strata = [line.split("stratum ")[1].split(",")[0] for line in lines(caplog)]
        assert strata == ["5", "2", "5", "10", "2"], messages
        warned = [record.levelno == logging.WARNING for record in caplog.records]
        assert warned == [True, False, True, True, False]

    anyio.run(main)


@pytest.mark.usefixtures("polled_often")
@pytest.mark.parametrize("fault", [silent, put(24, *bytes(8))], ids=["dead", "wrong origin"])
def test_nothing_is_logged_twice(caplog: pytest.LogCaptureFixture, fault: Fault) -> None:
    async def main() -> None:
        with TimeServer(fault) as daemon:
            async with running(NtpConfig(source=(daemon.where,))) as (source, published):
                await eventually(lambda: source.facts()["sources"][0]["polls"] > 4)
                assert len(published) == 1

    anyio.run(main)
    assert len(lines(caplog)) == 1
