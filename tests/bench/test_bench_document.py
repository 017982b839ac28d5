"""The output of bench: JSON, tables and plots, from made-up rounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from xdpkit._core._loadgen import Generator
from xdpkit.bench import offwire, plots, rounds, rows, spin
from xdpkit.bench import run as bench
from xdpkit.bench.probe import Probe
from xdpkit.bench.rounds import Plan, Result
from xdpkit.bench.testbed import Entry

FIGURES = {
    "answers_per_s": 100.0,
    "loss": 0.0,
    "lossfree_per_s": 90.0,
    "overload_per_s": 95.0,
    "overload_offered_per_s": 200.0,
    "overload_ratio": 0.95,
    "cpu_us_per_answer": 2.0,
    "cpu_user_us": 0.5,
    "cpu_system_us": 1.5,
    "cpu_us_saturated": 1.5,
    "p50_us": 20.0,
    "p90_us": 30.0,
    "p99_us": 40.0,
    "p99_9_us": 50.0,
    "max_us": 60.0,
}


def result(row: rows.Row, server: str, *scales: float, wrong: int = 0) -> Result:
    """A row with one round per scale, which multiplies all figures."""
    entry = Entry(row, server, cast(Generator, None), [], None, "native, copy")
    made = Result(entry, [{k: v * scale for k, v in FIGURES.items()} for scale in scales])
    made.wrong = wrong
    return made


@pytest.fixture
def results() -> dict[str, Result]:
    echo = result(rows.Row("echo", "echo", 7), "xdpkit", 1.0, 2.0, 3.0)
    ntp = result(rows.Row("xdpkit-ntp", "ntp", 123, beside="echo"), "xdpkit", 0.9, 2.0, 3.6)
    chronyd = result(rows.Row("chronyd", "ntp", 123, beside="echo"), "chronyd", 0.3, 0.5, 0.9)
    made = {"echo": echo, "xdpkit-ntp": ntp, "chronyd": chronyd}
    for number in range(3):
        for name, each in made.items():
            base = echo.rounds[number]["answers_per_s"]
            if name != "echo":
                each.rounds[number]["ratio_to_echo"] = each.rounds[number]["answers_per_s"] / base
    return made


def test_rows_have_medians_and_spread(results: dict[str, Result]) -> None:
    facts = bench.document(results, Plan(), {"nsd": "did not come up"})
    assert json.loads(json.dumps(facts)) == facts
    assert {"kernel", "driver", "mode", "cpu", "cpus", "rounds", "seconds"} <= facts.keys()
    ntp = facts["rows"][1]
    assert ntp["name"] == "xdpkit-ntp"
    for name in ("answers_per_s", "cpu_us_per_answer", "loss", "ratio_to_echo"):
        assert ntp[f"{name}_min"] <= ntp[name] <= ntp[f"{name}_max"]
    assert (ntp["answers_per_s"], ntp["ratio_to_echo"]) == (200.0, 1.0)
    assert ntp["ratio_to_echo_min"] == pytest.approx(0.9)
    assert "ratio_to_echo" not in facts["rows"][0]
    assert facts["failed"] == [] and facts["skipped"] == {"nsd": "did not come up"}
    # The median of the rounds' ratios (3, 4, 4), not the ratio of the medians.
    compared = facts["compared"]["xdpkit-ntp / chronyd"]
    assert compared["answers_per_s"] == pytest.approx(4.0)


def test_wrong_replies_and_silence_fail(results: dict[str, Result]) -> None:
    results["chronyd"].wrong = 7
    results["xdpkit-ntp"].rounds = [{"answers_per_s": 0.0}]
    failed = bench.document(results, Plan(), {})["failed"]
    assert failed == ["chronyd: 7 wrong replies", "xdpkit-ntp: no right reply at all"]


def test_a_result_counts_what_was_not_right(results: dict[str, Result]) -> None:
    results["echo"].count(Probe(1.0, 10, 5, 5, wrong=3, duplicate=2, late=1))
    row = results["echo"].as_dict()
    assert (row["wrong"], row["duplicate"], row["late"]) == (3, 2, 1)


def test_ratios_without_the_other_row(results: dict[str, Result]) -> None:
    assert rounds.median_ratios(results, "xdpkit-ntp", "ntpd") == {}
    assert rounds.median_ratios(results, "ntpd", "chronyd") == {}


def rendered(facts: dict[str, Any], show: Any) -> str:
    console = Console(width=bench.WIDTH)
    with console.capture() as capture:
        show(facts, console)
    return capture.get()


def test_the_table_has_every_row(results: dict[str, Result]) -> None:
    facts = bench.document(results, Plan(), {"nsd": "did not come up"})
    text = rendered(facts, bench.show)
    assert all(name in text for name in ("echo", "xdpkit-ntp", "chronyd", "90..360"))
    assert "not measured: nsd: did not come up" in text
    assert "xdpkit-ntp / chronyd: answers 4.00" in text


SPIN = {
    "rounds": 1,
    "series": {"spin": {"what": "spin_ns", "lines": {"wait": [[0, 9.0, 8.0, 10.0]]}}},
}
OFFWIRE = {
    "rounds": 7,
    "instructions_not_measured": None,
    "cases": [
        {
            "name": "echo",
            "instructions_per_answer": 500.0,
            "ns_per_answer": {
                str(batch): {"best": 20.0, "median": 21.0} for batch in offwire.BATCHES
            },
        }
    ],
}


def test_other_tables() -> None:
    assert "9 (8..10)" in rendered(bench.machine() | SPIN, spin.show)
    text = rendered(bench.machine() | OFFWIRE, offwire.show)
    assert "20.0 (21.0)" in text and "500" in text


def test_plots_are_png_and_svg(results: dict[str, Result], tmp_path: Path) -> None:
    facts = bench.document(results, Plan(), {})
    made = plots.draw(facts, tmp_path)
    assert {path.suffix for path in made} == {".png", ".svg"}
    assert {path.stem for path in made} == {"answers", "lossfree", "cpu", "latency"}
    assert all(path.stat().st_size > 1000 for path in made)
    assert len(plots.draw(bench.machine() | SPIN, tmp_path)) == 2
    assert len(plots.draw(bench.machine() | OFFWIRE, tmp_path)) == 2


def test_without_matplotlib_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    assert plots.draw({}, tmp_path) == []
    console = Console(width=bench.WIDTH)
    with console.capture() as capture:
        plots.check(console)
    assert "pip install 'xdpkit[bench]'" in capture.get()
    assert capture.get().count("\n") == 1
