"""What the bytes call and a snapshot reject: with an error that says so, never a crash."""

from __future__ import annotations

import pytest

from xdpkit._core._answer import answer, answer_frame
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._stats import MAX_FRAME

NTP_ONLY = Snapshot({"ntp": 123})


@pytest.mark.parametrize("service", ["dns", "echo"])
def test_a_service_that_is_off(service: str) -> None:
    with pytest.raises(ValueError, match=f"{service} is off in this snapshot"):
        answer(NTP_ONLY, service, bytes(48))


def test_an_unknown_service() -> None:
    with pytest.raises(KeyError, match="tftp"):
        answer(NTP_ONLY, "tftp", b"")


def test_a_payload_too_long() -> None:
    with pytest.raises(ValueError, match="at most 4096 fit"):
        answer(NTP_ONLY, "ntp", bytes(4097))
    with pytest.raises(ValueError, match="does not fit a chunk"):
        answer_frame(NTP_ONLY, bytes(MAX_FRAME + 1))


def test_an_invalid_source() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        answer(NTP_ONLY, "ntp", bytes(48), ("here", 1))
    with pytest.raises(OverflowError):
        answer(NTP_ONLY, "ntp", bytes(48), ("192.0.2.9", 65536))


def test_snapshots() -> None:
    with pytest.raises(ValueError, match="dns needs zones"):
        Snapshot({"dns": 53})
    with pytest.raises(ValueError, match="4097 addresses: at most 4096 fit"):
        Snapshot({}, reserved=["192.0.2.1"] * 4097)
    with pytest.raises(OverflowError):
        Snapshot({"ntp": 65536})
    with pytest.raises(OverflowError):
        Snapshot({"ntp": 123}, ntp={"stratum": 256})
