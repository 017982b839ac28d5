"""``xdpkit blast`` and ``xdpkit bench`` from the command line, in the lab; rates do not matter."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benching import bench
from serving import XDPKIT, ZONE, Server, run_here, write_config

from xdpkit.lab.namespaces import Lab

CONFIG = """
[interface]
name = "server0"
queues = [0]
[ntp]
[dns]
zones = "zones"
[echo]
"""

# Answers every request with a made-up transmit timestamp.
LIAR = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], int(sys.argv[2])))
while True:
    request, client = server.recvfrom(512)
    server.sendto(b"\\x24\\x01" + request[2:24] + request[40:48] + request[:16], client)
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(1) as lab:
        yield lab


@pytest.fixture(scope="module")
def served(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("served")
    server = Server(lab.server, write_config(directory, CONFIG, zone=ZONE))
    try:
        yield server
        assert server.stop() == 0, server.log()
    finally:
        server.kill()


def blast(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    return lab.client.run(XDPKIT, "blast", *arguments, "--interface", "client0")


def facts(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("service", ["ntp", "echo"])
@pytest.mark.parametrize("version", [4, 6])
def test_all_are_answered(lab: Lab, served: Server, service: str, version: int) -> None:
    address = lab.server.ipv4 if version == 4 else lab.server.ipv6
    options = (service, "--to", address, f"-{version}", "--count", "5000", "--json")
    found = facts(blast(lab, *options, "--window", "64"))
    assert (found["sent"], found["answered"]) == (5000, 5000)
    assert found["wrong"] == found["lost"] == found["duplicate"] == found["late"] == 0
    latency = found["latency_us"]
    names = ("p50", "p90", "p99", "p99_9", "max")
    assert list(latency) == list(names)
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99_9"]
    assert latency["p99_9"] <= latency["max"]


def test_a_rate_from_many_addresses(lab: Lab, served: Server) -> None:
    options = ("ntp", "--to", f"{lab.server.ipv4}:123", "--rate", "2000", "--seconds", "0.5")
    many = ("--addresses", "200", "--ports", "7", "--from", "198.18.0.0/24", "--json")
    found = facts(blast(lab, *options, *many))
    assert found["answered"] == found["sent"]
    assert 0 < found["sent"] <= 1000


def test_dns_names_of_a_zone_and_of_a_file(lab: Lab, served: Server, tmp_path: Path) -> None:
    queries = tmp_path / "queries"
    queries.write_text("www.example A\nwww.example AAAA\nany.wild.example TXT\n")
    options = ("dns", "--to", lab.server.ipv4, "--count", "2000", "--json", "--window", "64")
    found = facts(blast(lab, *options, "--queries", str(queries)))
    assert (found["sent"], found["answered"]) == (2000, 2000)
    zone = tmp_path / "example.zone"
    zone.write_text("$ORIGIN example.\n@ 1 SOA . . 1 2 3 4 5\n@ 1 NS .\nwww 1 A 192.0.2.80\n")
    found = facts(blast(lab, *options, "--zone", str(zone)))
    assert (found["sent"], found["answered"]) == (2000, 2000)


def test_what_nobody_answers_is_lost(lab: Lab, served: Server) -> None:
    done = blast(lab, "ntp", "--to", f"{lab.server.ipv4}:9", "--count", "10", "--seconds", "0.3")
    assert done.returncode == 1
    assert "0 answered, 0 wrong, 10 lost" in done.stdout
    assert "no reply from 192.0.2.1 port 9" in done.stderr


def test_the_wrong_service_answers_wrongly(lab: Lab, served: Server) -> None:
    done = blast(lab, "ntp", "--to", f"{lab.server.ipv4}:7", "--count", "10", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["wrong"] == 10
    assert "10 replies were wrong" in done.stderr


def test_an_address_that_was_agreed_to(lab: Lab, served: Server) -> None:
    agreed = ("--yes-send-to", lab.server.ipv4)
    found = facts(blast(lab, "ntp", *agreed, "--count", "100", "--window", "8", "--json"))
    assert (found["answered"], found["to"], found["port"]) == (100, lab.server.ipv4, 123)


def test_nobody_is_sent_to_who_is_not_on_the_link(lab: Lab, served: Server) -> None:
    done = blast(lab, "ntp", "--to", "203.0.113.1", "--count", "1")
    assert done.returncode in (1, 2)
    assert done.stderr.count("xdpkit: ") == 1 and "203.0.113.1" in done.stderr


def test_bench_quick_tells_rows_and_ratios(tmp_path: Path) -> None:
    found = bench(tmp_path, "--quick", "--seconds", "0.1")
    assert [row["name"] for row in found["rows"]] == [
        "echo",
        "echo-dns",
        "xdpkit-ntp",
        "xdpkit-dns-10",
    ]
    assert found["kernel"]
    for row in found["rows"]:
        for name in ("answers_per_s", "cpu_us_per_answer", "loss", "p50_us", "p99_9_us"):
            assert row[f"{name}_min"] <= row[name] <= row[f"{name}_max"]
        assert row["answers_per_s"] > 0 and row["wrong"] == 0
        assert ("ratio_to_echo" in row) == row["name"].startswith("xdpkit")


def test_a_wrong_answer_fails_the_run(tmp_path: Path) -> None:
    program = tmp_path / "liar.py"
    program.write_text(LIAR)
    command = json.dumps([sys.executable, str(program), "{address}", "{port}"])
    peers = tmp_path / "peers.toml"
    peers.write_text(f'[liar]\nservice = "ntp"\ncommand = {command}\n')
    options = ("--quick", "--seconds", "0.1", "--only", "liar", "--json", "--peers", str(peers))
    done = run_here(XDPKIT, "bench", *options)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert [row["name"] for row in found["rows"]] == ["echo", "liar"]
    assert found["rows"][1]["wrong"] > 0
    assert "xdpkit: liar: " in done.stderr and "wrong replies" in done.stderr


def test_a_peer_that_does_not_come_up_is_named(tmp_path: Path) -> None:
    peers = tmp_path / "peers.toml"
    peers.write_text('[gone]\nservice = "ntp"\ncommand = ["sh", "-c", "echo no clock; exit 3"]\n')
    done = run_here(XDPKIT, "bench", "--quick", "--only", "gone", "--peers", str(peers))
    assert done.returncode == 1
    assert "gone did not come up; its last line of output: no clock" in done.stderr
