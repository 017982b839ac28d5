"""``source = "127.0.0.1:11123"``: a real chronyd on this host is mirrored throughout its life."""

from __future__ import annotations

import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from peers import chronyd_server
from serving import PATIENCE, QUEUES, XDPKIT, Server, eventually, serving, write_config
from time_server import STRANGER

from xdpkit.lab.namespaces import Lab
from xdpkit.services.ntp import client

pytestmark = pytest.mark.netns

HOLDOVER = 2
UPSTREAM = "127.0.0.1:11123"
CONFIG = f"""
[interface]
name = "server0"
queues = [2]
[ntp]
source = "{UPSTREAM}"
holdover = {HOLDOVER}
stratum = 12
refid = "MINE"
"""

LISTEN = ("port 11123", "bindaddress 127.0.0.1", "allow 127.0.0.1")

# The queue that each way in answers.
WAYS_IN = {"ring": 2, "slow path": 1}


class ServerState(NamedTuple):
    """The server's state as a client sees it."""

    leap: int
    stratum: int
    precision: int
    root_delay: int
    root_dispersion: int
    refid: bytes


UNSYNCHRONIZED = (3, 0)


def ask(address: tuple[str, int]) -> ServerState:
    """One request from the namespace that this thread is in."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(address)
        mark = secrets.randbits(64)
        sock.send(client.request(mark))
        first, stratum, _, precision, delay, dispersion, refid, _, origin, *_ = (
            client.HEADER.unpack(sock.recv(2048))
        )
    assert origin == mark
    return ServerState(first >> 6, stratum, precision, delay, dispersion, refid)


def states(lab: Lab) -> dict[str, ServerState]:
    """The state that each way in reports."""
    answers = {}
    for way_in, queue in WAYS_IN.items():
        lab.client.send_on_queue(queue, QUEUES)
        with lab.client.entered():
            answers[way_in] = ask((lab.server.ipv4, 123))
    return answers


def both_report(lab: Lab, leap: int, stratum: int) -> bool:
    """Whether both ways in report this."""
    return all(state[:2] == (leap, stratum) for state in states(lab).values())


def ntp(server: Server) -> dict[str, Any]:
    facts: dict[str, Any] = server.status()["ntp"]
    return facts


def ignored(server: Server, reason: str) -> int:
    [source] = ntp(server)["sources"]
    count: int = source["ignored"].get(reason, 0)
    return count


@pytest.fixture(scope="module")
def chronyd_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where chronyd keeps its files."""
    return tmp_path_factory.mktemp("upstream")


@pytest.fixture
def server(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    """One instance per test: their order does not matter."""
    with serving(lab, tmp_path, CONFIG) as server:
        yield server


def upstream(lab: Lab, chronyd_directory: Path, *more: str) -> AbstractContextManager[Any]:
    return chronyd_server(lab.server, chronyd_directory, *LISTEN, *more)


def test_the_life_of_the_mirrored_daemon(lab: Lab, server: Server, chronyd_directory: Path) -> None:
    # No daemon yet: ready all the same, and unsynchronized as chronyd is without a source.
    assert both_report(lab, *UNSYNCHRONIZED)
    for state in states(lab).values():
        assert (state.root_delay, state.root_dispersion, state.refid) == (65536, 65536, bytes(4))
    eventually(lambda: ignored(server, "refused") >= 2, "two refusals")
    facts = ntp(server)
    assert (facts["source"], facts["synchronised"], facts["leap"]) == (None, False, 3)

    # A daemon that is unsynchronized itself.
    with upstream(lab, chronyd_directory):
        eventually(lambda: ignored(server, "unsynchronised") >= 1, "an unsynchronized answer")
        with lab.server.entered():
            theirs = ask(("127.0.0.1", 11123))
        for ours in states(lab).values():
            assert ours._replace(precision=0) == theirs._replace(precision=0)

    with upstream(lab, chronyd_directory, "local stratum 5") as chronyd:
        eventually(lambda: ntp(server)["synchronised"], "the first good answer")
        with lab.server.entered():
            theirs = ask(("127.0.0.1", 11123))
        for ours in states(lab).values():
            # All but the dispersion, which grows.
            assert ours._replace(root_dispersion=0) == theirs._replace(root_dispersion=0)
            assert theirs.root_dispersion < ours.root_dispersion < theirs.root_dispersion + 65536
        facts = ntp(server)
        assert (facts["source"], facts["stratum"], facts["leap"]) == (UPSTREAM, 5, 0)
        assert facts["refid"] == "127.127.1.1" and facts["age_s"] >= 0
        [source] = facts["sources"]
        assert source["state"] == "synchronised" and source["answers"] >= 1
        output = lab.server.run(XDPKIT, "status").stdout
        assert f"NTP: time from {UPSTREAM}" in output

        chronyd.kill()
        chronyd.wait(PATIENCE)
        eventually(lambda: both_report(lab, *UNSYNCHRONIZED), "the end of the holdover")
        # Replies change to the nanosecond, the source with its next poll.
        eventually(lambda: not ntp(server)["synchronised"], "the source to notice")

    with upstream(lab, chronyd_directory, "local stratum 6"):
        eventually(lambda: both_report(lab, 0, 6), "the daemon's return")

    lines = [line for line in server.log().splitlines() if "NTP" in line and "serving" not in line]
    assert len(lines) == 4, lines
    for line, words in zip(
        lines,
        (
            "NTP is not synchronized, and replies say so: 127.0.0.1:11123: nothing listens there",
            "NTP time is from 127.0.0.1:11123: stratum 5",
            "NTP is not synchronized, and replies say so: 127.0.0.1:11123: nothing listens there",
            "NTP time is from 127.0.0.1:11123: stratum 6",
        ),
        strict=True,
    ):
        assert words in line


def test_in_the_order_of_preference(lab: Lab, chronyd_directory: Path, tmp_path: Path) -> None:
    """A list: the local clock is used while the daemon is absent."""
    config = CONFIG.replace(f'"{UPSTREAM}"', f'["{UPSTREAM}", "local"]')
    with serving(lab, tmp_path, config) as server:
        for state in states(lab).values():
            assert (state.leap, state.stratum, state.refid) == (0, 12, b"MINE")
        with upstream(lab, chronyd_directory, "local stratum 3"):
            eventually(lambda: both_report(lab, 0, 3), "the preferred source")
        eventually(lambda: both_report(lab, 0, 12), "the other one")
        assert [entry["state"] for entry in ntp(server)["sources"]] == [
            "unsynchronised",
            "synchronised",
        ]


def test_a_dead_port_does_not_keep_us_from_starting(lab: Lab, tmp_path: Path) -> None:
    """A daemon that never answers: ready, and unsynchronized."""
    with lab.server.entered():
        deaf = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with deaf:
        deaf.bind(("127.0.0.1", 11123))
        with serving(lab, tmp_path, CONFIG) as server:
            assert both_report(lab, *UNSYNCHRONIZED)
            eventually(lambda: ignored(server, "no_answer") >= 1, "an unanswered request")
            assert "it does not answer" in server.log()


def test_source_kernel(lab: Lab, tmp_path: Path) -> None:
    """This machine's clock as it is: whether it is disciplined is not ours to change."""
    config = CONFIG.replace(f'"{UPSTREAM}"', '"kernel"')
    path = write_config(tmp_path, config)
    assert (
        "source kernel, stratum 12, reference ID MINE"
        in lab.server.run(XDPKIT, "check", "-c", str(path)).stdout
    )
    with serving(lab, tmp_path, config) as server:
        synchronised = ntp(server)["synchronised"]
        for state in states(lab).values():
            assert state[:2] == ((0, 12) if synchronised else UNSYNCHRONIZED)


def test_a_stranger_in_the_daemons_place(lab: Lab, tmp_path: Path) -> None:
    """Not believed, counted, said once; and believed once it is named."""
    command = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3")
    process = lab.server.popen(
        *command, "-I", "-c", STRANGER, "127.0.0.1", "11123", "alone", stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "11123\n"
        with serving(lab, tmp_path, CONFIG) as server:
            eventually(lambda: ignored(server, "stranger") >= 3, "three polls")
            assert both_report(lab, *UNSYNCHRONIZED)
            assert server.log().count("belongs to user 65534, who is not believed") == 1
            named = CONFIG.replace("holdover", 'source_users = "nobody"\nholdover')
            server.path.write_text(named)
            assert lab.server.run(XDPKIT, "reload").returncode == 0
            eventually(lambda: both_report(lab, 0, 3), "the named user's time")
    finally:
        process.kill()
        process.communicate()
