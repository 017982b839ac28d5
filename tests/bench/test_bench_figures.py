"""The arithmetic of the benchmarks, without a server."""

from __future__ import annotations

import os

import pytest

from xdpkit.bench import cpu, probe
from xdpkit.bench.probe import Probe
from xdpkit.loadgen import figures


def measured(rate: int, capacity: float) -> Probe:
    """A server that answers what it can and loses the rest."""
    answered = int(min(rate, capacity))
    return Probe(1.0, rate, answered, answered, 0, 0, 0)


def test_spread_is_median_least_most() -> None:
    assert figures.spread("x", [3.0, 1.0, 10.0]) == {"x": 3.0, "x_min": 1.0, "x_max": 10.0}
    assert figures.spread("x", []) == {}


def test_spreads_use_the_figures_each_round_has() -> None:
    facts = figures.spreads([{"a": 1.0}, {"a": 3.0, "b": 5.0}])
    assert (facts["a"], facts["a_min"], facts["a_max"], facts["b"]) == (2.0, 1.0, 3.0, 5.0)


def test_ratio_and_loss_without_a_base() -> None:
    assert figures.ratio(1.0, 0.0) == 0.0
    assert figures.loss(0, 0) == 0.0
    assert figures.loss(200, 150) == 0.25


def test_latencies_are_microseconds_by_name() -> None:
    facts = figures.latencies_us(lambda percentile: int(percentile * 1000))
    assert facts == {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99_9": 99.9, "max": 100.0}


@pytest.mark.parametrize("capacity", [900.0, 517.0, 80.0])
def test_loss_free_finds_the_capacity(capacity: float) -> None:
    most = 1000.0
    found = probe.loss_free(lambda rate: measured(rate, capacity), most, steps=12)
    assert capacity - most / 2**probe.STEPS <= found <= capacity


def test_loss_free_of_a_server_that_loses_nothing_is_its_bound() -> None:
    assert probe.loss_free(lambda rate: measured(rate, 1e9), 1000.0) == 1000.0


def test_one_bad_probe_does_not_lower_the_rate() -> None:
    stolen = iter([True])

    def flaky(rate: int) -> Probe:
        return measured(rate, 1.0 if next(stolen, False) else 1e9)

    assert probe.loss_free(flaky, 1000.0) == 1000.0


def test_a_probe_counts_late_replies_for_loss_only() -> None:
    late = Probe(2.0, sent=100, answered=60, replied=90, wrong=0, duplicate=0, late=10)
    assert (late.answers_per_s, late.sent_per_s, late.loss) == (30.0, 50.0, 0.1)


def test_cpu_time_per_answer_divides_by_ticks() -> None:
    before, after = cpu.CpuTime(0, 10, 10), cpu.CpuTime(4_000_000, 11, 13)
    facts = after.per_answer(before, 1000)
    assert facts == {"cpu_us_per_answer": 4.0, "cpu_user_us": 1.0, "cpu_system_us": 3.0}
    assert after.per_answer(after, 0)["cpu_us_per_answer"] == 0.0


def test_cpu_time_of_this_process_grows_and_of_none_is_zero() -> None:
    first = cpu.used([os.getpid()])
    sum(range(1_000_000))
    assert cpu.used([os.getpid()]).ns > first.ns > 0
    assert cpu.used([]) == cpu.CpuTime(0, 0, 0)
