"""``source = "127.0.0.1:11123"``: a real chronyd beside us is mirrored, through its life."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from peers import chronyd_server
from serving import PATIENCE, QUEUES, XDPKIT, Server, eventually, serving, write_config

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

# The queue that each door answers.
WAYS_IN = {"ring": 2, "slow path": 1}


class Said(NamedTuple):
    """What a client is told of the server's state."""

    leap: int
    stratum: int
    precision: int
    root_delay: int
    root_dispersion: int
    refid: bytes


UNSYNCHRONISED = (3, 0)


def ask(address: tuple[str, int]) -> Said:
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
    return Said(first >> 6, stratum, precision, delay, dispersion, refid)


def told(lab: Lab) -> dict[str, Said]:
    """What a client of each door is told."""
    answers = {}
    for way_in, queue in WAYS_IN.items():
        lab.client.send_on_queue(queue, QUEUES)
        with lab.client.entered():
            answers[way_in] = ask((lab.server.ipv4, 123))
    return answers


def is_told(lab: Lab, leap: int, stratum: int) -> bool:
    """Whether both doors say so."""
    return all(said[:2] == (leap, stratum) for said in told(lab).values())


def ntp(server: Server) -> dict[str, Any]:
    facts: dict[str, Any] = server.status()["ntp"]
    return facts


def ignored(server: Server, reason: str) -> int:
    [source] = ntp(server)["sources"]
    count: int = source["ignored"].get(reason, 0)
    return count


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where chronyd has its files."""
    return tmp_path_factory.mktemp("upstream")


@pytest.fixture
def server(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    """An instance for each test: their order does not matter."""
    with serving(lab, tmp_path, CONFIG) as server:
        yield server


def upstream(lab: Lab, place: Path, *more: str) -> AbstractContextManager[Any]:
    return chronyd_server(lab.server, place, *LISTEN, *more)


def test_the_life_of_the_mirrored_daemon(lab: Lab, server: Server, place: Path) -> None:
    # Nobody there yet: ready all the same, and unsynchronised as chronyd is without a source.
    assert is_told(lab, *UNSYNCHRONISED)
    for said in told(lab).values():
        assert (said.root_delay, said.root_dispersion, said.refid) == (65536, 65536, bytes(4))
    eventually(lambda: ignored(server, "refused") >= 2, "two refusals")
    facts = ntp(server)
    assert (facts["source"], facts["synchronised"], facts["leap"]) == (None, False, 3)

    # A daemon that has no time itself.
    with upstream(lab, place):
        eventually(lambda: ignored(server, "unsynchronised") >= 1, "an unsynchronised answer")
        with lab.server.entered():
            theirs = ask(("127.0.0.1", 11123))
        for ours in told(lab).values():
            assert ours._replace(precision=0) == theirs._replace(precision=0)

    with upstream(lab, place, "local stratum 5") as chronyd:
        eventually(lambda: ntp(server)["synchronised"], "the first good answer")
        with lab.server.entered():
            theirs = ask(("127.0.0.1", 11123))
        for ours in told(lab).values():
            # All but the dispersion, which grows.
            assert ours._replace(root_dispersion=0) == theirs._replace(root_dispersion=0)
            assert theirs.root_dispersion < ours.root_dispersion < theirs.root_dispersion + 65536
        facts = ntp(server)
        assert (facts["source"], facts["stratum"], facts["leap"]) == (UPSTREAM, 5, 0)
        assert facts["refid"] == "127.127.1.1" and facts["age_s"] >= 0
        [source] = facts["sources"]
        assert source["state"] == "synchronised" and source["answers"] >= 1
        shown = lab.server.run(XDPKIT, "status").stdout
        assert f"NTP: time from {UPSTREAM}" in shown

        chronyd.kill()
        chronyd.wait(PATIENCE)
        eventually(lambda: is_told(lab, *UNSYNCHRONISED), "the end of the holdover")
        # Replies know it by the nanosecond, the source by its next look.
        eventually(lambda: not ntp(server)["synchronised"], "the source to notice")

    with upstream(lab, place, "local stratum 6"):
        eventually(lambda: is_told(lab, 0, 6), "the daemon's return")

    said = [line for line in server.log().splitlines() if "NTP" in line and "serving" not in line]
    assert len(said) == 4, said
    for line, words in zip(
        said,
        (
            "NTP is not synchronised, and replies say so: 127.0.0.1:11123: nothing listens there",
            "NTP time is from 127.0.0.1:11123: stratum 5",
            "NTP is not synchronised, and replies say so: 127.0.0.1:11123: nothing listens there",
            "NTP time is from 127.0.0.1:11123: stratum 6",
        ),
        strict=True,
    ):
        assert words in line


def test_in_the_order_of_preference(lab: Lab, place: Path, tmp_path: Path) -> None:
    """A list: the local clock stands in while the daemon is not there."""
    config = CONFIG.replace(f'"{UPSTREAM}"', f'["{UPSTREAM}", "local"]')
    with serving(lab, tmp_path, config) as server:
        for said in told(lab).values():
            assert (said.leap, said.stratum, said.refid) == (0, 12, b"MINE")
        with upstream(lab, place, "local stratum 3"):
            eventually(lambda: is_told(lab, 0, 3), "the preferred source")
        eventually(lambda: is_told(lab, 0, 12), "the other one")
        assert [entry["state"] for entry in ntp(server)["sources"]] == [
            "unsynchronised",
            "synchronised",
        ]


def test_a_dead_port_does_not_keep_us_from_starting(lab: Lab, tmp_path: Path) -> None:
    """Somebody who never answers: ready, and unsynchronised."""
    with lab.server.entered():
        deaf = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with deaf:
        deaf.bind(("127.0.0.1", 11123))
        with serving(lab, tmp_path, CONFIG) as server:
            assert is_told(lab, *UNSYNCHRONISED)
            eventually(lambda: ignored(server, "no_answer") >= 1, "an unanswered request")
            assert "it does not answer" in server.log()


def test_the_kernels_word(lab: Lab, tmp_path: Path) -> None:
    """This machine's clock as it is: who disciplines it, if anybody does, is not ours to change."""
    config = CONFIG.replace(f'"{UPSTREAM}"', '"kernel"')
    path = write_config(tmp_path, config)
    assert (
        "source kernel, stratum 12, reference ID MINE"
        in lab.server.run(XDPKIT, "check", "-c", str(path)).stdout
    )
    with serving(lab, tmp_path, config) as server:
        synchronised = ntp(server)["synchronised"]
        for said in told(lab).values():
            assert said[:2] == ((0, 12) if synchronised else UNSYNCHRONISED)
