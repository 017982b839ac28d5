"""Scrapes of a live server: same as ``status``, under load, and next to malicious clients."""

from __future__ import annotations

import re
import signal
import socket
from contextlib import ExitStack
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from asking import Asker
from loading import all_answered, generator, load_on, send_all, under_way
from metrics_samples import Labels, Samples
from ntp_macs import KEYS, key_file
from ntp_requests import Request as NtpRequest
from serving import (
    PATIENCE,
    QUEUES,
    WAYS_IN,
    WWW,
    Server,
    eventually,
    look_up,
    serving,
    write_config,
)

from xdpkit._core._stats import VERDICTS
from xdpkit.lab.namespaces import SERVER_IPV4, Lab
from xdpkit.metrics.families import families
from xdpkit.metrics.server import encode

pytestmark = pytest.mark.netns

CONFIG = """
[interface]
name = "server0"
queues = [2]
[ntp]
keys = "keys"
[dns]
zones = "zones"
[echo]
[metrics]
"""
WHERE = ("127.0.0.1", 9153)
ACCEPTED = ("text/plain", "application/openmetrics-text")
Counters = dict[tuple[str, Labels], float]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("server")
    (place / "keys").write_text(key_file(KEYS))
    (place / "keys").chmod(0o600)
    return place


def scrape(lab: Lab, accepted: str = ACCEPTED[1]) -> Samples:
    """One scrape, from within the server's namespace."""
    request = Request(f"http://{WHERE[0]}:{WHERE[1]}/metrics", headers={"Accept": accepted})
    with lab.server.entered(), urlopen(request, timeout=PATIENCE) as reply:
        return Samples(reply.read().decode(), reply.headers["Content-Type"])


def counters(samples: Samples) -> Counters:
    return {key: samples[key] for key in samples.counters}


def from_status(server: Server) -> Counters:
    """The same families, from the document that the control socket gives."""
    text, kind = encode(families(server.status(), VERDICTS), ACCEPTED[1])
    return counters(Samples(text.decode(), kind))


def answered(samples: Samples, path: str, queue: str = "") -> float:
    labels = {"path": path, "queue": queue, "verdict": "ntp_answered", "kind": "answer"}
    return samples.of("verdicts_total", **labels)


@pytest.mark.parametrize("accepted", ACCEPTED)
def test_a_scrape_equals_status(lab: Lab, server: Server, accepted: str) -> None:
    first = scrape(lab, accepted)
    for way_in, queue in WAYS_IN.items():
        lab.client.send_on_queue(queue, QUEUES)
        with Asker(lab.client, lab.server.ipv4) as asker:
            plain = b"\x23" + bytes(46) + b"\x01"
            keyed = b"\x1b" + bytes(46) + b"\x02"
            payloads = [plain] * 30 + [keyed + KEYS[0].mac(keyed)] * 5
            replies = asker.answers([NtpRequest(payload, way_in) for payload in payloads])
            assert all(replies)
    before = from_status(server)
    found = scrape(lab, accepted)
    after = from_status(server)
    # Loops turn and neighbor discovery goes on even without requests.
    assert counters(found).keys() == before.keys() == after.keys()
    for key, value in counters(found).items():
        assert before[key] <= value <= after[key], key
    still = [key for key in before if before[key] == after[key]]
    assert len(still) > 0.9 * len(before)
    for path, queue in (("ring", "2"), ("slow_path_udp", "")):
        # Some requests are the Asker's sentinels.
        assert answered(found, path, queue) - answered(first, path, queue) >= 35
    key = str(KEYS[0].id)
    name = "ntp_authenticated_total"
    assert found.of(name, key=key) - first.of(name, key=key) == 10
    assert found.of("ntp_synchronised") == 1
    assert found.of("ntp_clients") >= 1
    assert found.of("zone_serial", zone="example") == 1
    facts = server.status()
    assert found.of("queue_detached", queue="2") == facts["queues"]["2"]["detached"] == 0
    source = facts["queues"]["2"]["ntp"]["tx_timestamps"]
    assert found.of("ntp_transmit_source", path="ring", queue="2", source=source) == 1


def test_geodns_names_come_and_go_with_a_reload(lab: Lab, server: Server, directory: Path) -> None:
    def queries() -> dict[str, float]:
        return {
            dict(labels)["rcode"]: value
            for (name, labels), value in scrape(lab).items()
            if name == "dns_queries_total"
        }

    assert queries() == {}
    path = directory / "xdpkit.toml"
    text = path.read_text()
    path.write_text(
        text.replace('zones = "zones"', 'zones = "zones"\nid = "ns7"').replace(
            "[metrics]", "[metrics]\ngeodns_names = true"
        )
    )
    assert server.request("reload")["changed"] == ["dns.id", "metrics.geodns_names"]
    before = queries()
    for queue in WAYS_IN.values():
        lab.client.send_on_queue(queue, QUEUES)
        assert look_up(lab.client) == [WWW]
        assert look_up(lab.client, "no.example") == []
    found = queries()
    assert {rcode: found[rcode] - before[rcode] for rcode in found} == {"NOERROR": 2, "NXDOMAIN": 2}
    [info] = [labels for name, labels in scrape(lab) if name == "geodns_instance_info"]
    assert dict(info) == {"ID": "ns7", "IP": SERVER_IPV4, "Group": ""}
    path.write_text(text)
    server.request("reload")
    assert queries() == {}


def test_the_transmit_errors_add_up(lab: Lab, server: Server) -> None:
    with load_on(lab, [2]) as load:
        assert send_all(generator(lab, load, 2, "ntp", 4), 2000) == all_answered(2000)
    true_times = {"path": "ring", "queue": "2", "outcome": "true"}

    def all_completed() -> Samples | None:
        found = scrape(lab)
        return found if found.of("ntp_transmit_stamps_total", **true_times) >= 2000 else None

    if server.status()["queues"]["2"]["ntp"]["tx_timestamps"] == "kick":
        pytest.skip("no transmit timestamps before Linux 6.11")
    found = eventually(all_completed, "the completions of the last batch")
    assert found is not None
    histogram = found.named("ntp_transmit_error_seconds_bucket")
    counts = {
        dict(labels)["le"]: count
        for labels, count in histogram.items()
        if ("path", "ring") in labels
    }
    assert counts["+Inf"] == found.of("ntp_transmit_stamps_total", **true_times)
    assert sorted(counts.values()) == [counts[le] for le in sorted(counts, key=float)]
    fine = server.status()["queues"]["2"]["ntp"]["tx_error"]
    assert counts["+Inf"] == sum(fine.values())
    assert counts["0.0"] == sum(count for ns, count in fine.items() if int(ns) <= 0)


def test_scrapes_under_load_lose_nothing(lab: Lab, server: Server) -> None:
    before = scrape(lab)
    with load_on(lab, [2]) as load, ExitStack() as stack:
        requests = generator(lab, load, 2, "ntp", 4)
        with lab.server.entered():
            # These never send anything: they occupy all connections.
            for _ in range(100):
                silent = stack.enter_context(socket.create_connection(WHERE, PATIENCE))
                silent.send(b"GET /metrics")
        with under_way(requests, rate=20_000):
            latest = counters(before)
            for turn in range(60):
                found = counters(scrape(lab, ACCEPTED[turn % 2]))
                assert all(found[key] >= value for key, value in latest.items())
                latest = found
        made = requests.counters()
    assert {name: made[name] for name in ("wrong", "duplicate", "lost", "open")} == {
        "wrong": 0,
        "duplicate": 0,
        "lost": 0,
        "open": 0,
    }
    sent = made["sent"]
    assert made["answered"] == sent > 0
    after = scrape(lab)
    assert answered(after, "ring", "2") - answered(before, "ring", "2") == sent
    requested = {"version": "4"}
    name = "ntp_requests_total"
    assert after.of(name, **requested) - before.of(name, **requested) == sent


def test_it_logs_where(server: Server) -> None:
    assert "xdpkit: metrics at http://127.0.0.1:9153/metrics\n" in server.log()


def test_nobody_else_can_scrape(lab: Lab, server: Server) -> None:
    """By default only this machine can."""
    assert server.process.poll() is None
    with lab.client.entered(), pytest.raises(ConnectionRefusedError):
        socket.create_connection((lab.server.ipv4, WHERE[1]), PATIENCE)


def test_a_port_that_is_taken_keeps_nothing_from_starting(tmp_path: Path) -> None:
    """Any user can take a port above 1023, such as between the end of an instance and the next."""
    config = CONFIG.replace('keys = "keys"', "")
    with Lab() as own_lab, ExitStack() as stack:
        with own_lab.server.entered():
            squatter = stack.enter_context(socket.create_server(WHERE))
        server = stack.enter_context(serving(own_lab, tmp_path, config))
        assert look_up(own_lab.client) == [WWW]
        [missing] = server.status()["not_served"]
        assert (missing["service"], missing["protocol"], missing["port"]) == (
            *("metrics", "tcp"),
            WHERE[1],
        )
        assert server.log().count("taken by another program") == 1
        assert "metrics at" not in server.log()
        # A successor starts too, and there is nothing to be handed over.
        successor = Server(own_lab.server, server.path, more=("--takeover",))
        stack.callback(successor.kill)
        assert server.process.wait(PATIENCE) == 0
        squatter.close()
        successor.wait_for_log("free again, metrics are served there")
        assert scrape(own_lab).of("up_seconds") > 0
        assert successor.status()["not_served"] == []
        assert successor.stop() == 0


def test_an_end_in_the_middle_of_scrapes(tmp_path: Path) -> None:
    """Open connections delay neither the shutdown nor the next start on the same port."""
    with Lab() as own_lab:
        for _ in range(2):
            server = Server(
                own_lab.server, write_config(tmp_path, CONFIG.replace('keys = "keys"', ""))
            )
            try:
                with own_lab.server.entered():
                    half = socket.create_connection(WHERE, PATIENCE)
                with half:
                    half.send(b"GET /metrics HTTP/1.1\r\n")
                    assert scrape(own_lab).of("up_seconds") > 0
                    server.signal(signal.SIGTERM)
                    assert server.process.wait(PATIENCE) == 0, server.log()
            finally:
                server.kill()
            assert not re.search("Traceback|error", server.log())
