"""Metric families of a status document, read back by the parsers of prometheus_client."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_document import LOOP, LOST, SOCKET, document, ntp_facts
from metrics_samples import Samples

from xdpkit._core._stats import VERDICT_END, VERDICTS
from xdpkit._core._thread_state import error_bucket
from xdpkit.metrics.families import families
from xdpkit.metrics.ntp_families import BOUNDS_NS, buckets
from xdpkit.metrics.server import encode
from xdpkit.runtime.health import KINDS, STATES


def read_back(built: Mapping[str, Any], accepted: str = "") -> Samples:
    text, kind = encode(families(built, VERDICTS), accepted)
    assert kind.startswith("application/openmetrics-text") == bool(accepted)
    return Samples(text.decode(), kind)


# Floats are exact up to 2^53: 28 years of ten million packets a second.
COUNTS = st.lists(st.integers(0, 2**53), min_size=len(VERDICTS), max_size=len(VERDICTS))
BY_QUEUE = st.dictionaries(st.integers(0, 255), COUNTS, max_size=3)


@given(
    BY_QUEUE, BY_QUEUE, st.none() | COUNTS, st.sampled_from(["", "application/openmetrics-text"])
)
def test_every_verdict_has_its_count(
    workers: dict[int, list[int]],
    xdp: dict[int, list[int]],
    udp: list[int] | None,
    accepted: str,
) -> None:
    paths = [("ring", str(queue), counts) for queue, counts in workers.items()]
    paths += [("xdp", str(queue), counts) for queue, counts in xdp.items()]
    paths += [("slow_path_udp", "", udp)] if udp is not None else []
    expected = {
        frozenset(
            {"path": path, "queue": queue, "verdict": verdict.name, "kind": verdict.kind}.items()
        ): float(counts[index])
        for path, queue, counts in paths
        for index, verdict in enumerate(VERDICTS)
        if (verdict.kind in ("take", "pass")) == (path == "xdp")
    }
    built = document(workers, xdp, udp)
    assert read_back(built, accepted).named("verdicts_total") == expected


def test_what_the_xdp_program_counts_is_all_of_take_and_pass() -> None:
    assert all((v.kind in ("take", "pass")) == (i < VERDICT_END) for i, v in enumerate(VERDICTS))


@pytest.mark.parametrize("accepted", ["", "application/openmetrics-text"])
def test_all_families_of_one_document(accepted: str) -> None:
    zones = {
        "example.com": {"serial": 4_294_967_295, "names": 12},
        'odd"\\name\n': {"serial": 1, "names": 1},
        "broken.example": {"serial": None, "names": 0, "errors": ["why"]},
    }
    counts = [0] * len(VERDICTS)
    found = read_back(document({2: counts}, {}, counts, ntp_facts(), zones), accepted)
    assert found.of(
        "interface_info",
        interface="eth1",
        mode="native",
        zerocopy="false",
        steering="ntuple",
        timestamps="xdp",
    )
    assert len(found.named("build_info")) == 1
    assert found.of("up_seconds") == 3723.457
    assert found.of("left_to_others", service="ntp") == 1
    assert found.of("ports_not_served", protocol="udp", service="dns") == 2
    assert found.of("ports_not_served", protocol="udp", service="ntp") == 0
    assert found.of("queue_detached", queue="2") == 0
    for key, value in SOCKET.items():
        assert found.of(f"xsk_{key}_total", queue="2") == value
    for path in ({"path": "ring", "queue": "2"}, {"path": "slow_path_udp", "queue": ""}):
        assert found.of("loop_batches_total", **path) == LOOP["batches"]
        assert found.of("loop_kicks_total", **path) == LOOP["kicks"]
        assert found.of("loop_waits_total", **path) == LOOP["waits"]
        assert found.of("loop_turns_total", **path) == LOOP["heartbeat"]
        assert found.of("partial_checksums_total", **path) == LOOP["csum_partial"]
        for source in ("xdp", "kernel", "clock"):
            assert (
                found.of("receive_stamps_total", **path, source=source) == LOOP[f"stamp_{source}"]
            )
        for source in ("kick", "completion", "hardware"):
            value = found.of("ntp_transmit_source", **path, source=source)
            assert value == (source == "kick")
        for outcome in ("true", "missing", "disbelieved"):
            assert found.of("ntp_transmit_stamps_total", **path, outcome=outcome) == 0
        assert (
            found.of("ntp_leaked_total", **path) == found.of("ntp_clock_steps_total", **path) == 0
        )
    assert found.of("zone_serial", zone="example.com") == 4_294_967_295
    assert found.of("zone_names", zone="example.com") == 12
    assert found.of("zone_names", zone='odd"\\name\n') == 1
    versions = {
        version: found.of("ntp_requests_total", version=str(version)) for version in range(8)
    }
    assert versions == {0: 0, 1: 2, 2: 1, 3: 1, 4: 3, 5: 0, 6: 0, 7: 0}
    modes = {
        dict(labels)["mode"]: n for labels, n in found.named("ntp_request_modes_total").items()
    }
    assert modes == {"client": 5, "symmetric_active": 1, "reserved": 1}
    assert found.of("ntp_authenticated_total", key="7") == 0
    assert found.of("ntp_authenticated_total", key="4294967295") == 0
    assert found.of("ntp_clients") == 3


def test_the_health_is_one_of_three() -> None:
    counts = [0] * len(VERDICTS)
    found = read_back(document({2: counts}, {}, counts))
    assert [found.of("health", state=each) for each in STATES] == [0, 0, 1]
    reasons = {kind: found.of("health_reasons", reason=kind) for kind in KINDS}
    assert {kind: n for kind, n in reasons.items() if n} == {"zone_stale": 4, "link_down": 1}


def test_what_is_lost_by_place() -> None:
    counts = [0] * len(VERDICTS)
    found = read_back(document({2: counts}, {}, counts))
    ring = {"path": "ring", "queue": "2"}
    assert {place: found.of("lost_total", place=place, **ring) for place in LOST} == LOST
    assert found.of("lost_total", path="slow_path_udp", queue="", place="udp_socket") == 18
    assert found.of("lost_total", path="", queue="", place="nic_ring") == 9


def buckets_of(found: Samples, name: str) -> dict[float, float]:
    """A histogram's counts by upper bound."""
    buckets = found.named(f"{name}_bucket").items()
    return {float(dict(labels)["le"]): count for labels, count in buckets}


def test_what_is_asked_over_dns() -> None:
    found = read_back(document({}, {}), "application/openmetrics-text")
    assert found.of("dns_queries_by_protocol_total", protocol="udp4-xdp") == 7
    assert found.of("dns_queries_by_protocol_total", protocol="udp6") == 0
    assert found.of("dns_queries_by_type_total", type="A") == 4
    assert found.of("dns_queries_by_zone_total", zone="a.example") == 5
    assert (found.of("dns_queries_edns_total"), found.of("dns_queries_do_total")) == (6, 2)
    sizes = {
        float(dict(labels)["le"]): n
        for labels, n in found.named("dns_query_size_bytes_bucket").items()
    }
    assert (sizes[31], sizes[47], sizes[287], sizes[inf]) == (1, 3, 3, 7)
    sizes = {
        float(dict(labels)["le"]): n
        for labels, n in found.named("dns_reply_size_bytes_bucket").items()
    }
    assert (sizes[511], sizes[1231], sizes[1471], sizes[inf]) == (0, 5, 7, 7)
    assert found.of("dns_reply_size_bytes_sum") == 900


def test_the_state_of_ntp() -> None:
    found = read_back(document({}, {}, ntp=ntp_facts()))
    assert found.of("ntp_source_info", source="local", refid="192.0.2.7") == 1
    assert found.of("ntp_synchronised") == 1
    assert (found.of("ntp_stratum"), found.of("ntp_leap"), found.of("ntp_age_seconds")) == (3, 0, 0)
    assert found.of("ntp_root_delay_seconds") == 0
    assert found.of("ntp_root_dispersion_seconds") >= 0
    source = {
        "name": "[::1]:11123",
        "state": "holdover",
        "polls": 1234,
        "answers": 1230,
        "ignored": {"late": 1, "refused": 3},
    }
    lost = {"source": None, "synchronised": False, "age_s": None, "leap": 3, "stratum": 0}
    found = read_back(document({}, {}, ntp=ntp_facts() | lost | {"sources": [source]}))
    assert (found.of("ntp_synchronised"), found.of("ntp_leap")) == (0, 3)
    assert found.of("ntp_source_info", source="", refid="192.0.2.7") == 1
    assert found.named("ntp_age_seconds") == {}
    assert found.of("ntp_source_polls_total", source="[::1]:11123") == 1234
    assert found.of("ntp_source_answers_total", source="[::1]:11123") == 1230
    assert found.of("ntp_source_ignored_total", source="[::1]:11123", reason="refused") == 3
    states = found.named("ntp_source_state")
    assert sum(states.values()) == 1
    assert found.of("ntp_source_state", source="[::1]:11123", state="holdover") == 1


def test_without_ntp_there_are_no_ntp_families() -> None:
    found = read_back(document({2: []}, {0: []}, []))
    assert not [name for name in found.helps if "_ntp_" in name]
    paths = {dict(labels)["path"] for labels in found.named("verdicts_total")}
    assert paths == {"ring", "xdp", "slow_path_udp"}


def test_the_help_of_verdicts_has_the_meaning_of_each() -> None:
    text = read_back(document({}, {})).helps["xdpkit_verdicts"]
    assert all(f"{verdict.name}: {verdict.text}" in text for verdict in VERDICTS)


def bucket_floor(ns: int) -> int:
    """The value closest to zero in the fine bucket of ``ns``, by bisection."""
    sign, far, near = (-1 if ns < 0 else 1), abs(ns), 0
    if ns < 0:
        # -0 is 0, which belongs to the positive side.
        near = 1
    while near < far:
        middle = (near + far) // 2
        if error_bucket(sign * middle) == error_bucket(ns):
            far = middle
        else:
            near = middle + 1
    return sign * far


ERRORS = st.integers(-(1 << 25), 1 << 25) | st.sampled_from(
    [bound + step for bound in BOUNDS_NS for step in (-1, 0, 1)]
)


@given(st.lists(ERRORS))
def test_no_error_is_on_the_wrong_side_of_a_bound(errors: list[int]) -> None:
    fine: dict[str, int] = {}
    for ns in errors:
        key = str(bucket_floor(ns))
        fine[key] = fine.get(key, 0) + 1
    built = buckets(fine)
    assert [count for _, count in built] == [
        *(sum(ns <= bound for ns in errors) for bound in BOUNDS_NS),
        len(errors),
    ]
    assert [le for le, _ in built] == [*(str(bound / 1e9) for bound in BOUNDS_NS), "+Inf"]
    assert all(low < high for low, high in pairwise([float(le) for le, _ in built]))


def test_the_histogram_is_read_back() -> None:
    """Signed values must not have _sum, and without it, OpenMetrics 1.0 allows no _count."""
    draw = random.Random(1)
    errors = [round(draw.gauss(200, 3000)) for _ in range(500)]
    built = document({2: []}, {}, ntp=ntp_facts())
    fine: dict[str, int] = {}
    for ns in errors:
        fine[str(bucket_floor(ns))] = fine.get(str(bucket_floor(ns)), 0) + 1
    built["queues"]["2"]["ntp"]["tx_error"] = fine
    for accepted in ("", "application/openmetrics-text"):
        found = read_back(built, accepted)
        rows = found.named("ntp_transmit_error_seconds_bucket")
        counts = {dict(labels)["le"]: count for labels, count in rows.items()}
        assert counts["0.0"] == sum(ns <= 0 for ns in errors)
        assert counts["-6.4e-08"] == sum(ns <= -64 for ns in errors)
        assert counts["1.023e-06"] == sum(ns <= 1023 for ns in errors)
        assert counts["+Inf"] == 500
        assert not found.named("ntp_transmit_error_seconds_sum")


def test_the_number_of_series_does_not_depend_on_counts() -> None:
    quiet = document({2: [0] * len(VERDICTS)}, {2: [0] * VERDICT_END}, [], ntp_facts())
    busy = document({2: [9] * len(VERDICTS)}, {2: [9] * VERDICT_END}, [7] * 99, ntp_facts())
    assert read_back(quiet).keys() == read_back(busy).keys()


def test_without_metrics_the_library_is_not_loaded() -> None:
    script = "import sys, xdpkit.instance.server; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_zones_are_counted_and_only_a_few_are_named() -> None:
    arena = {"zones": 101, "stale": 2, "failed": 1, "failing_s": 12.5}
    for count in (100, 101):
        zones = {f"z{number}": {"serial": number, "names": 1} for number in range(count)}
        built = document({2: [0] * len(VERDICTS)}, {}, zones=zones) | {"dns": {"arena": arena}}
        found = read_back(built, "")
        assert len(found.named("zone_serial")) == (100 if count == 100 else 0)
        assert (found.of("zones"), found.of("zones_stale"), found.of("zones_failed")) == (101, 2, 1)
        assert found.of("zones_failing_seconds") == 12.5
