"""Zones are reloaded while requests arrive: nothing lost or wrong, broken zones refused."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from loading import generator, load_on, under_way
from serving import (
    QUEUES,
    ZONE,
    Server,
    eventually,
    look_up,
    reload,
)

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

# Leaves some CPU time for the reloads.
RATE = 20_000


def write_zone(directory: Path, text: str, serial: int) -> None:
    (directory / "zones" / "example.zone").write_text(text.replace("hostmaster 1 ", f"h {serial} "))


def serial(server: Server) -> int:
    number: int = server.status()["zones"]["example"]["serial"]
    return number


def ask(lab: Lab, name: str) -> dict[int, list[str]]:
    """The addresses of a name from both ways in, by queue."""
    found = {}
    for queue in (1, 2):
        lab.client.send_on_queue(queue, QUEUES)
        found[queue] = look_up(lab.client, name)
    return found


@pytest.mark.parametrize("queue", [1, 2])
def test_reload_under_load(lab: Lab, server: Server, directory: Path, queue: int) -> None:
    lab.server.send_on_queue(queue, QUEUES)
    first = 10 * queue
    with load_on(lab, [queue]) as load:
        requests = generator(lab, load, queue, "dns", 4)
        with under_way(requests, RATE):
            for number in range(first, first + 6):
                sent = requests.counters()["sent"]
                write_zone(directory, ZONE, number)
                if number % 2:
                    server.signal(signal.SIGHUP)
                else:
                    assert reload(lab).returncode == 0
                eventually(lambda n=number: serial(server) == n, f"serial {number}")
                eventually(lambda n=sent: requests.counters()["sent"] > n, "requests")
        counters = requests.counters()
    assert counters["sent"] > 1000
    assert counters["answered"] == counters["sent"]
    assert [counters[fault] for fault in ("wrong", "lost", "duplicate")] == [0, 0, 0]


def test_new_data_is_answered(lab: Lab, server: Server, directory: Path) -> None:
    write_zone(directory, ZONE, 100)
    assert reload(lab).returncode == 0
    assert ask(lab, "www.example") == {1: ["192.0.2.80"], 2: ["192.0.2.80"]}
    assert ask(lab, "new.example") == {1: [], 2: []}
    write_zone(directory, ZONE.replace("192.0.2.80", "192.0.2.99") + "new A 192.0.2.98\n", 101)
    done = reload(lab)
    assert (done.returncode, done.stderr) == (0, "")
    assert ask(lab, "www.example") == {1: ["192.0.2.99"], 2: ["192.0.2.99"]}
    assert ask(lab, "new.example") == {1: ["192.0.2.98"], 2: ["192.0.2.98"]}


def test_a_broken_zone_keeps_the_old_one(lab: Lab, server: Server, directory: Path) -> None:
    write_zone(directory, ZONE, 200)
    assert reload(lab).returncode == 0
    write_zone(directory, ZONE + "www A not-an-address\n", 201)
    line = ZONE.count("\n") + 1
    place = f"{directory}/zones/example.zone:{line}"
    done = reload(lab)
    assert done.returncode == 2
    assert place in done.stderr
    assert done.stderr.count("\n") == 1
    assert serial(server) == 200
    assert ask(lab, "www.example") == {1: ["192.0.2.80"], 2: ["192.0.2.80"]}
    server.signal(signal.SIGHUP)
    eventually(lambda: f"{place}" in server.log(), "the log to name the place")
    assert "the last good version of example, of " in server.log()
    eventually(lambda: "1 of them not up to date: example" in server.log(), "the summary")
    assert serial(server) == 200
    write_zone(directory, ZONE, 202)
    assert reload(lab).returncode == 0
    assert serial(server) == 202
