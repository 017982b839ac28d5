"""Prometheus itself scrapes a live server: its values are the server's counts."""

from __future__ import annotations

import json
import subprocess
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from loading import all_answered, generator, load_on, send_all
from peers import peer
from serving import PATIENCE, Server, eventually

from xdpkit.lab.namespaces import Lab
from xdpkit.metrics.ntp_families import BOUNDS_NS

pytestmark = pytest.mark.netns

CONFIG = """
[interface]
name = "server0"
queues = [2]
[ntp]
[dns]
zones = "zones"
[metrics]
"""
API = "http://127.0.0.1:9090/api/v1"

SCRAPED = """
scrape_configs:
- job_name: xdpkit
  scrape_interval: 1s
  static_configs:
  - targets: ["127.0.0.1:9153"]
"""


def asked(lab: Lab, question: str) -> list[dict[str, Any]]:
    """An answer from Prometheus's API; empty while it cannot answer."""
    try:
        with lab.server.entered(), urlopen(f"{API}/{question}", timeout=PATIENCE) as reply:
            data: dict[str, list[dict[str, Any]]] = json.load(reply)["data"]
    except URLError:
        return []
    return data["activeTargets"] if "activeTargets" in data else data["result"]


def value(lab: Lab, expression: str) -> float:
    """The current value of a PromQL expression; NaN if empty."""
    found = asked(lab, f"query?query={quote(expression)}")
    return float(found[0]["value"][1]) if found else float("nan")


@pytest.fixture(scope="module")
def prometheus(
    lab: Lab, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A Prometheus in the server's namespace; its log."""
    program = peer("prometheus", "bin/prometheus")
    place = tmp_path_factory.mktemp("prometheus")
    (place / "prometheus.yml").write_text(SCRAPED)
    options = {"config.file": "prometheus.yml", "storage.tsdb.path": "data"}
    arguments = [f"--{name}={place / path}" for name, path in options.items()]
    listen = "--web.listen-address=127.0.0.1:9090"
    with (place / "log").open("w") as log:
        process = lab.server.popen(program, listen, *arguments, stdout=log, stderr=log)
    try:
        yield place / "log"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def test_promtool_has_nothing_to_say(lab: Lab, server: Server) -> None:
    """Its linter accepts the format that is not OpenMetrics."""
    assert server.process.poll() is None
    with lab.server.entered(), urlopen("http://127.0.0.1:9153/metrics", timeout=PATIENCE) as reply:
        text = reply.read().decode()
    command = [peer("prometheus", "bin/promtool"), "check", "metrics"]
    done = subprocess.run(command, input=text, text=True, capture_output=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_prometheus_has_what_the_server_counted(lab: Lab, server: Server, prometheus: Path) -> None:
    [target] = eventually(
        lambda: [t for t in asked(lab, "targets") if t["health"] != "unknown"], "the first scrape"
    )
    assert (target["health"], target["lastError"]) == ("up", ""), prometheus.read_text()
    with load_on(lab, [2]) as load:
        assert send_all(generator(lab, load, 2, "ntp", 4), 3000) == all_answered(3000)
    counted = server.status()["queues"]["2"]["answered"]["ntp_answered"]
    assert counted >= 3000
    verdict = 'xdpkit_verdicts_total{path="ring",queue="2",verdict="ntp_answered",kind="answer"}'
    eventually(lambda: value(lab, verdict) == counted, "the next scrape")
    versions = server.status()["ntp"]["versions"]
    assert value(lab, "sum(xdpkit_ntp_requests_total)") == sum(versions.values())
    fine = server.status()["queues"]["2"]["ntp"]["tx_error"]
    if not fine:
        pytest.skip("no transmit timestamps before Linux 6.11")
    errors = 'xdpkit_ntp_transmit_error_seconds_bucket{path="ring"%s}'
    total = errors % ',le="+Inf"'
    eventually(lambda: value(lab, total) == sum(fine.values()), "the scrape after completions")
    early = sum(count for ns, count in fine.items() if int(ns) <= 0)
    assert value(lab, errors % ',le="0.0"') == early
    # Between the bucket bounds below and above the fine histogram's median.
    quantile = value(lab, f"histogram_quantile(0.5, {errors % ''})")
    median = server.status()["queues"]["2"]["ntp"]["tx_error_ns"]["p50"]
    edges = [bound / 1e9 for bound in BOUNDS_NS]
    assert bisect_left(edges, quantile) == bisect_left(edges, median / 1e9)
