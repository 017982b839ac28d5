"""The parts of sd_notify(3) that need no socket."""

from __future__ import annotations

import os

import pytest

from xdpkit.runtime.notify import watchdog_seconds


@pytest.mark.parametrize(
    "environment, seconds",
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid() + 1)}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_period(environment: dict[str, str], seconds: float | None) -> None:
    assert watchdog_seconds(environment) == seconds
