"""``bench --ntp`` without a server: arithmetic, tables and plots, from made-up facts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from xdpkit._core._requests import Requests
from xdpkit.bench import ntp, ntp_error, ntp_offset, ntp_rates, plots
from xdpkit.bench import run as bench
from xdpkit.loadgen import figures
from xdpkit.services.ntp.client import Sample


def test_a_histogram_since() -> None:
    before = {"-16": 5, "0": 7}
    after = {"32": 1, "-16": 5, "0": 9, "-40": 2}
    assert figures.histogram_delta(after, before) == {-40: 2, 0: 2, 32: 1}
    assert list(figures.histogram_delta(after, before)) == [-40, 0, 32]


@given(st.lists(st.integers(-1000, 1000), min_size=1), st.floats(0, 100))
def test_percentiles_of_a_histogram_are_those_of_the_values(
    values: list[int], percent: float
) -> None:
    counted = figures.histogram_delta({str(value): values.count(value) for value in values}, {})
    found = figures.percentile(counted, percent)
    below = sum(value < found for value in values)
    assert below <= len(values) * percent / 100 <= sum(value <= found for value in values) + 1e-9


def test_a_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="an empty histogram"):
        figures.percentile({}, 50)


def test_the_offset_is_that_of_the_shortest_exchange() -> None:
    samples = [
        Sample(0, 1, b"TEST", offset, delay)
        for offset, delay in ((5e-6, 30e-6), (-2e-6, 20e-6), (9e-6, 90e-6))
    ]
    found = ntp_offset.summary(samples)
    assert found["best_offset_us"] == pytest.approx(-2.0)
    assert found["best_delay_us"] == pytest.approx(20.0)
    assert found["median_offset_us"] == pytest.approx(5.0)


def test_every_case_has_a_name_and_the_first_is_plain() -> None:
    names = [case.name for case in ntp_rates.CASES]
    assert len(set(names)) == len(names)
    assert ntp_rates.CASES[0] is ntp_rates.PLAIN


def test_a_case_is_a_server_with_its_row() -> None:
    """With tables after [ntp]'s keys, files, finished payloads and many addresses."""
    payloads = [b"\x23" + bytes(46) + b"\1"]
    case = ntp_rates.Case(
        "full", 'keys = "keys"\n[ntp.limit]\n', {"keys": "1"}, lambda: payloads, addresses=9
    )
    server = ntp_rates.server_for(case)
    assert '[ntp]\nkeys = "keys"\n[ntp.limit]\n' in server.configuration
    assert server.files == {"keys": "1"}
    [row] = server.rows
    assert (row.service, row.queries, row.addresses, row.clients) == ("ntp", payloads, 9, 0)


ROW = {
    "p1": 1.0,
    "p10": 2.0,
    "p50": 3.0,
    "p90": 4.0,
    "p99": 5.0,
}


def rate_row(name: str, wrong: int = 0, answers: float = 100.0) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "wrong": wrong, "lost": 0}
    for key, value in (
        ("answers_per_s", answers),
        ("ratio_to_plain", 0.5),
        ("thread_cpu_us", 1.25),
    ):
        made |= {key: value, f"{key}_min": value / 2, f"{key}_max": value * 2}
    return made


@pytest.fixture
def facts() -> dict[str, Any]:
    offset = {"best_offset_us": -1.5, "best_delay_us": 40.0, "median_offset_us": 2.5}
    made = {
        "mode": "native, copy",
        "rounds": 3,
        "seconds": 1.0,
        "interleaved": {
            "rate_per_s": 200_000,
            "seconds": 3.0,
            "answers_per_s": 199_999.0,
            "wrong": 0,
            "lost": 0,
            "share": 0.9987,
            "tx_timestamps": "completion",
            "tx_true_share": 0.9995,
            "underway_us": {"p50": 0.14, "p99": 0.5},
        },
        "offset": {"exchanges": 20, "bound_us": 100.0, "basic": offset, "interleaved": offset},
        "transmit_error": [
            {
                "load": load,
                "compensation": compensation,
                "control_plane": plane,
                "replies": 2,
                **{f"{name}{end}": v for name, v in ROW.items() for end in ("", "_min", "_max")},
                "histogram": {"-32": 1, "16": 2, "4096": 1},
            }
            for load in ntp_error.LOADS
            for compensation in ntp_error.COMPENSATION
            for plane in ntp_error.CONTROL_PLANE
        ],
        "rates": [rate_row("plain"), rate_row("interleaved")],
    }
    return bench.machine() | made


def test_the_tables_have_every_part(facts: dict[str, Any]) -> None:
    assert json.loads(json.dumps(facts)) == facts
    console = Console(width=bench.WIDTH)
    with console.capture() as capture:
        ntp.show(facts, console)
    text = capture.get()
    rows = [line.split() for line in text.splitlines()]
    assert "native, copy" in text and "0.9987" in text and "0.9995" in text
    assert ["basic", "-1.5", "40.0", "+2.5"] in rows
    assert ["saturated", "on", "garbage", "1", "2", "3", "4", "5"] in rows
    assert "0.50 (0.25..1.00)" in text


def test_wrong_replies_and_silence_fail(facts: dict[str, Any]) -> None:
    assert ntp.failures(facts) == []
    facts["interleaved"]["wrong"] = 3
    facts["rates"][1]["answers_per_s"] = 0.0
    assert ntp.failures(facts) == [
        "interleaved at a rate: 3 wrong replies",
        "interleaved: no right reply at all",
    ]


def test_a_load_that_got_no_reply_has_a_row_without_figures(facts: dict[str, Any]) -> None:
    empty = ntp_error.row(("saturated", "on", "idle"), ntp_error.Errors())
    assert empty["replies"] == 0 and "p50" not in empty
    assert ntp.error_table([empty])[1] == [["saturated", "on", "idle"]]


def test_plots_are_png_and_svg(facts: dict[str, Any], tmp_path: Path) -> None:
    made = plots.draw(facts, tmp_path)
    assert {path.name for path in made} == {
        f"{name}.{suffix}" for name in ("transmit-error", "ntp-rates") for suffix in plots.FORMATS
    }
    assert all(path.stat().st_size > 1000 for path in made)


def test_payloads_of_a_case_are_what_a_generator_takes() -> None:
    for case in ntp_rates.CASES:
        assert not (case.clients and case.requests())
        Requests("ntp", bytes(14) + b"\x45" + bytes(27), 14, 61000, queries=case.requests())
