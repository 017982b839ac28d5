"""The parts of ``xdpkit bench --reloads`` in the lab, with few names; times do not matter."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from xdpkit.bench import geo_reloads, geo_sampler, reloads
from xdpkit.bench import run as bench
from xdpkit.bench.geo_site import Sizes

pytestmark = [pytest.mark.netns, pytest.mark.timeout(300)]

# Low enough that a busy machine loses nothing.
RATE = 2000
SIZES = Sizes(servers=60, country_depth=10, bursts=1, burst_rate=RATE)


def test_all_parts() -> None:
    lines: list[str] = []
    facts = {
        "reloads": reloads.repeated_reloads(3, 50, RATE, lines.append),
        "many": reloads.many_names(3000, RATE, lines.append),
        **geo_reloads.measure(3, RATE, lines.append, SIZES),
    }
    assert reloads.failures(facts) == []
    for part in (facts["reloads"], facts["many"]["reload"]):
        assert part["answered"] == part["sent"] > 0
    assert facts["reloads"]["changes"] == 3 and facts["many"]["reload"]["changes"] == 1
    assert (facts["many"]["names"], facts["many"]["source"]) == (3007, "cache")
    assert 0 < facts["many"]["cached_load_s_min"] <= facts["many"]["cached_load_s_max"]
    assert any("%" in line for line in lines)
    pool, burst = facts["pool"], facts["burst"]
    assert pool["answered"] == pool["sent"] > 0 and pool["changes"] == 3
    assert pool["dropped"] == 0
    # The client beside the load got answers, and saw each change of health in one of them.
    assert pool["sampled"] > pool["unanswered"] == pool["mixed"] == pool["stale"] == 0
    assert pool["health_s_max"] < geo_sampler.HEALTH_SECONDS
    assert len(pool["resident_bytes"]) == 3 and min(pool["resident_bytes"]) > 1 << 20
    assert burst["total"]["answered"] == burst["total"]["sent"] > 0 and burst["compiled"] > 0
    shown = io.StringIO()
    mode = facts["reloads"].pop("mode")
    reloads.show(bench.machine() | {"mode": mode} | facts, Console(file=shown, width=120))
    assert "3 reloads of 50 names" in shown.getvalue()
    assert "3,007 names" in shown.getvalue()
    assert "3 reloads of a pool's zone of 60 servers" in shown.getvalue()
    assert "4,000 queries within 2 s" in shown.getvalue()


GOOD = {"wrong": 0, "lost": 0, "changes": 2, "reloads": 2}
POOL = {"pool": GOOD | {"mixed": 0, "stale": 0}, "burst": {"total": GOOD}}


def test_what_fails_the_run() -> None:
    parts = {"many": {"reload": GOOD}} | POOL
    assert reloads.failures({"reloads": GOOD} | parts) == []
    bad = {"wrong": 1, "lost": 2, "changes": 3, "reloads": 2}
    assert reloads.failures({"reloads": bad} | parts) == [
        "reloads: 1 wrong",
        "reloads: 2 lost",
        "reloads: the version changed 3 times in 2 reloads",
    ]
    pool = {"pool": bad | {"mixed": 4, "stale": 5}, "burst": {"total": bad}}
    assert geo_reloads.failures(pool) == [
        "the pool's zone: 1 wrong",
        "the pool's zone: 2 lost",
        "the pool's zone: the version changed 3 times in 2 reloads",
        "the pool's zone: 4 answers of two versions",
        "the pool's zone: 5 answers with an unhealthy server",
        "the pool's burst: 1 wrong",
        "the pool's burst: 2 lost",
    ]
