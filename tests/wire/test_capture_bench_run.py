"""``xdpkit bench --capture`` in the lab; times and rates do not matter."""

from __future__ import annotations

import io
from argparse import Namespace

import pytest
from rich.console import Console

from xdpkit.bench import capture_offwire, capture_run
from xdpkit.bench.capture_counted import LOOKS

pytestmark = pytest.mark.netns


def test_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    # Counting instructions under valgrind takes minutes.
    monkeypatch.setattr(capture_offwire, "find_valgrind", lambda: None)
    options = Namespace(rounds=1, seconds=0.2, load=20_000)
    found = capture_run.measure(options, lambda _: None)
    assert found["failed"] == []
    for row in found["offwire"]:
        assert list(row["ns_per_answer"]) == list(LOOKS)
    assert [row["service"] for row in found["rates"]] == ["ntp", "dns"]
    assert all(row["on_per_s"] > 0 and row["off_per_s"] > 0 for row in found["rates"])
    reading, stopped = found["full"]
    assert reading["seen"] == reading["sampled"] > 0
    assert stopped["seen"] == stopped["sampled"] > 0
    assert found["stamps"]["captured"] == found["stamps"]["requests"]
    assert found["stamps"]["request_us"]["min"] >= 0
    shown = io.StringIO()
    capture_run.show(found, Console(file=shown, width=120))
    assert "on / off" in shown.getvalue()
