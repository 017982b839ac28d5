"""``xdpkit blast ntp --interleaved`` against servers with and without true transmit times."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from serving import XDPKIT, Server, serving

from xdpkit.lab.namespaces import Lab

CLIENTS = 128
COUNT = 20_000

CONFIG = """
[interface]
name = "server0"
queues = [0]
[ntp]
tx_timestamps = "{source}"
tx_compensation = {compensation}
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(1) as lab:
        yield lab


@contextmanager
def served(lab: Lab, directory: Path, source: str, compensation: str = "false") -> Iterator[Server]:
    text = CONFIG.format(source=source, compensation=compensation)
    with serving(lab, directory, text) as server:
        yield server


def blast(lab: Lab, *options: str) -> dict[str, Any]:
    """The facts from a run of interleaved clients in which every reply was right."""
    # veth's receive ring holds 256 frames: none of CLIENTS is dropped there.
    arguments = ("--interface", "client0", "--to", *options, "--clients", str(CLIENTS), "--json")
    done = lab.client.run(XDPKIT, "blast", "ntp", "--interleaved", *arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["answered"] == found["sent"]
    assert found["wrong"] == found["lost"] == found["duplicate"] == found["late"] == 0
    return found


def modes(found: dict[str, Any], verdicts: dict[str, int]) -> dict[str, Any]:
    """The load generator's counts, which must equal the server's."""
    seen: dict[str, Any] = found["interleaved"]
    assert seen["clients"] == CLIENTS
    assert (verdicts["ntp_answered"], verdicts["ntp_interleaved"]) == (
        seen["basic"],
        seen["interleaved"],
    )
    return seen


@pytest.mark.parametrize("compensation", ["false", "true"])
@pytest.mark.parametrize("family", [4, 6])
def test_transmit_times_are_true(lab: Lab, tmp_path: Path, family: int, compensation: str) -> None:
    """Each client's third reply is its first interleaved one, and no later one is basic."""
    address = lab.server.ipv4 if family == 4 else lab.server.ipv6
    with served(lab, tmp_path, "completion", compensation) as server:
        found = blast(lab, address, "--count", str(COUNT))
        seen = modes(found, server.verdicts())
        counts = server.status()["queues"]["0"]["ntp"]
    assert seen["basic"] == 2 * CLIENTS
    assert seen["interleaved"] == COUNT - 2 * CLIENTS
    assert seen["share"] == pytest.approx(1 - 2 * CLIENTS / COUNT)
    # The kernel reported the transmit time of every reply.
    assert (counts["tx_true"], counts["tx_missing"], counts["tx_disbelieved"]) == (COUNT, 0, 0)
    assert seen["same"] + seen["later"] + seen["earlier"] == CLIENTS
    if compensation == "false":
        # A clock read before the kick cannot be later than the transmit time.
        assert seen["earlier"] == 0 < seen["later"]


def test_at_a_rate(lab: Lab, tmp_path: Path) -> None:
    with served(lab, tmp_path, "completion") as server:
        options = ("--rate", "5000", "--count", "2500", "--addresses", "20")
        found = blast(lab, lab.server.ipv4, *options)
        assert 0 < modes(found, server.verdicts())["interleaved"] < found["sent"] == 2500


def test_a_server_that_only_knows_its_kicks(lab: Lab, tmp_path: Path) -> None:
    """It is within bounds, but the transmit time it gives is always the one the reply carried."""
    with served(lab, tmp_path, "kick") as server:
        found = blast(lab, lab.server.ipv4, "--count", str(COUNT))
        seen = modes(found, server.verdicts())
    assert seen["interleaved"] == COUNT - 2 * CLIENTS
    assert (seen["same"], seen["later"], seen["earlier"]) == (CLIENTS, 0, 0)


def test_a_server_without_the_mode(lab: Lab, tmp_path: Path) -> None:
    text = CONFIG.format(source="completion", compensation="false") + "interleaved = 0\n"
    with serving(lab, tmp_path, text):
        found = blast(lab, lab.server.ipv4, "--count", "2000")
    assert (found["interleaved"]["basic"], found["interleaved"]["interleaved"]) == (2000, 0)
