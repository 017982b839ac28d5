"""The parts of ``xdpkit bench --reloads`` in the lab, with few names; times do not matter."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from xdpkit.bench import reloads
from xdpkit.bench import run as bench

pytestmark = [pytest.mark.netns, pytest.mark.timeout(300)]

# Low enough that a busy machine loses nothing.
RATE = 2000


def test_both_parts() -> None:
    lines: list[str] = []
    facts = {
        "reloads": reloads.repeated_reloads(3, 50, RATE, lines.append),
        "many": reloads.many_names(3000, RATE, lines.append),
    }
    assert reloads.failures(facts) == []
    for part in (facts["reloads"], facts["many"]["reload"]):
        assert part["answered"] == part["sent"] > 0
    assert facts["reloads"]["changes"] == 3 and facts["many"]["reload"]["changes"] == 1
    assert (facts["many"]["names"], facts["many"]["source"]) == (3007, "cache")
    assert 0 < facts["many"]["cached_load_s_min"] <= facts["many"]["cached_load_s_max"]
    assert any("%" in line for line in lines)
    shown = io.StringIO()
    mode = facts["reloads"].pop("mode")
    reloads.show(bench.machine() | {"mode": mode} | facts, Console(file=shown, width=120))
    assert "3 reloads of 50 names" in shown.getvalue()
    assert "3,007 names" in shown.getvalue()


def test_what_fails_the_run() -> None:
    good = {"wrong": 0, "lost": 0, "changes": 2, "reloads": 2}
    assert reloads.failures({"reloads": good, "many": {"reload": good}}) == []
    bad = {"wrong": 1, "lost": 2, "changes": 3, "reloads": 2}
    assert reloads.failures({"reloads": bad, "many": {"reload": good}}) == [
        "reloads: 1 wrong",
        "reloads: 2 lost",
        "reloads: the version changed 3 times in 2 reloads",
    ]
