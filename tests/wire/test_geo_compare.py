"""``xdpkit query --compare`` with another xdpkit, over the network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import CONFIG, QUEUES, WAYS_IN, XDPKIT, Server, write_config

from xdpkit.lab.namespaces import CLIENT_IPV4, SERVER_IPV4, SERVER_IPV6, Lab

pytestmark = pytest.mark.netns

GEO = """
[dns.geo]
map = "locations"
"""
MAP = """\
203.0.113.0/24 us
198.51.100.0/24 de
"""
POOL: dict[str, Any] = {
    "serial": 7,
    "ttl": 60,
    "data": {
        "": {"ns": ["ns1.example"]},
        "www": {"a": [["192.0.2.1", 10], ["192.0.2.2", 10], ["192.0.2.3", 1000]]},
        "www.us": {"a": [["192.0.2.11", 10], ["192.0.2.12", 90]], "max_hosts": 1},
        "www.de": {"cname": [["a.example.org.", 1], ["b.example.org.", 2]]},
    },
}
QUESTIONS = """\
www.pool.example.org A 203.0.113.7   # us
www.pool.example.org A 198.51.100.7  # de
www.pool.example.org A 192.0.2.1
no.pool.example.org A 203.0.113.7
www.example A 203.0.113.7
alias.example A 203.0.113.7
"""


def write_site(directory: Path, pool: dict[str, Any] = POOL, **zone: str) -> Path:
    """A configuration and its zones; returns the file's path."""
    path = write_config(directory, CONFIG.replace("[echo]", GEO + "[echo]"), **zone)
    (directory / "locations").write_text(MAP)
    (directory / "zones" / "pool.example.org.json").write_text(json.dumps(pool))
    return path


@pytest.fixture(scope="module")
def server(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(lab.server, write_site(tmp_path_factory.mktemp("theirs")))
    try:
        yield server
        assert server.stop() == 0, server.log()
    finally:
        server.kill()


def compare(
    lab: Lab, config: Path, address: str = SERVER_IPV4, *more: str, questions: str = QUESTIONS
) -> tuple[int, Any]:
    """The exit status, and what ``--json`` says."""
    path = config.with_name("questions")
    path.write_text(questions)
    done = lab.client.run(
        *(XDPKIT, "query", "--compare", address, str(path), "-c", str(config), "--json"),
        *more,
        timeout=300,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("way_in", WAYS_IN)
@pytest.mark.parametrize("address", [SERVER_IPV4, f"[{SERVER_IPV6}]:53"])
def test_the_same_zones(
    lab: Lab, server: Server, tmp_path: Path, way_in: str, address: str
) -> None:
    lab.client.send_on_queue(WAYS_IN[way_in], QUEUES)
    status, found = compare(lab, write_site(tmp_path), address)
    assert (status, found["differences"]) == (0, [])
    assert found["compared"] == found["questions"] == 6


def test_a_changed_weight(lab: Lab, server: Server, tmp_path: Path) -> None:
    us = {"a": [["192.0.2.11", 90], ["192.0.2.12", 10]], "max_hosts": 1}
    config = write_site(tmp_path, {**POOL, "data": {**POOL["data"], "www.us": us}})
    status, found = compare(lab, config)
    assert status == 1
    [each] = found["differences"]
    assert each["question"] == "www.pool.example.org A 203.0.113.7"
    [line] = each["differences"]
    assert line.startswith("frequencies: chi-square "), line
    assert "A 192.0.2.11 in " in line and "of 100, 90.0 expected" in line


def test_changed_records(lab: Lab, server: Server, tmp_path: Path) -> None:
    www = {"a": [["192.0.2.1", 10], ["192.0.2.9", 10], ["192.0.2.3", 1000]]}
    zone = "$ORIGIN example.\n$TTL 300\n@ SOA ns hostmaster 1 7200 3600 1209600 60\n@ NS ns\n"
    zone += "ns A 192.0.2.1\nwww A 192.0.2.81\nalias CNAME www\n"
    config = write_site(tmp_path, {**POOL, "data": {**POOL["data"], "www": www}}, zone=zone)
    status, found = compare(lab, config)
    assert status == 1
    lines = {each["question"]: each["differences"] for each in found["differences"]}
    assert set(lines) == {"www.pool.example.org A 192.0.2.1", "www.example A 203.0.113.7"}
    never, often = lines["www.pool.example.org A 192.0.2.1"]
    assert never.startswith("records that are never answered here: A 192.0.2.2 (")
    assert "A 192.0.2.9 in 0 of 100" in often
    assert lines["www.example A 203.0.113.7"] == [
        "records that are never answered here: A 192.0.2.80 (3 of 3)",
        "records that are in every answer here: A 192.0.2.81 (0 of 3)",
    ]


def test_another_map(lab: Lab, server: Server, tmp_path: Path) -> None:
    config = write_site(tmp_path)
    (tmp_path / "locations").write_text(MAP.replace("203.0.113.0/24", "203.0.112.0/23"))
    status, found = compare(lab, config)
    assert status == 1
    [each] = found["differences"]
    assert each["differences"] == ["scope: 24 there, 23 here"]
    assert compare(lab, config, SERVER_IPV4, "--ignore-scope")[0] == 0


def test_a_server_that_is_silent(lab: Lab, server: Server, tmp_path: Path) -> None:
    for address in (f"{SERVER_IPV4}:5300", f"{CLIENT_IPV4}:53"):
        status, found = compare(lab, write_site(tmp_path), address)
        assert status == 1 and found["silent"] and found["compared"] == 1


def test_as_text(lab: Lab, server: Server, tmp_path: Path) -> None:
    config = write_site(tmp_path)
    (tmp_path / "locations").write_text(MAP.replace("203.0.113.0/24", "203.0.112.0/23"))
    (tmp_path / "questions").write_text(QUESTIONS)
    command = f"{XDPKIT} query --compare {SERVER_IPV4} -c {config} < {tmp_path / 'questions'}"
    done = lab.client.run("sh", "-c", command)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines() == [
        "www.pool.example.org A 203.0.113.7: asked 100 times",
        "    scope: 24 there, 23 here",
        f"{SERVER_IPV4}:53: 6 questions compared, 1 different",
    ]


def test_why(lab: Lab, server: Server, tmp_path: Path) -> None:
    config = write_site(tmp_path)
    question = ("www.pool.example.org", "A", "--ecs", "203.0.113.0/24")
    done = lab.client.run(XDPKIT, "query", *question, "-c", str(config))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "prefix  203.0.113.0/24 decided" in lines
    assert "level   us: label www.us" in lines
    assert "     10.0000%  192.0.2.11  weight 10" in lines
