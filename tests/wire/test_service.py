"""What the service manager is told: sd_notify(3) over a real socket."""

from __future__ import annotations

import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from intruder import frozen, needs_x86
from programs import detach_link, foreign_program
from serving import CONFIG, PATIENCE, WWW, Server, eventually, looked_up, write_config

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns


class Manager:
    """The service manager's end: everything that was told so far, in order."""

    def __init__(self, path: Path) -> None:
        self.told: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def hears(self, beginning: str) -> str:
        """Waits for a message, and forgets those before it."""

        def heard() -> str | None:
            self.read()
            return next((text for text in self.told if text.startswith(beginning)), None)

        found = eventually(heard, beginning)
        del self.told[: self.told.index(found) + 1]
        return found

    def read(self) -> None:
        while True:
            try:
                self.told.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return

    def close(self) -> None:
        self._socket.close()


@contextmanager
def managed(lab: Lab, directory: Path, config: str = CONFIG) -> Iterator[tuple[Server, Manager]]:
    """An instance that a service manager watches, every 600 ms."""
    manager = Manager(directory / "notify")
    told = ("env", f"NOTIFY_SOCKET={directory / 'notify'}", "WATCHDOG_USEC=600000")
    server = Server(lab.server, write_config(directory, config), before=told)
    try:
        manager.hears("READY=1")
        yield server, manager
    finally:
        server.kill()
        manager.close()


def test_a_life(lab: Lab, tmp_path: Path) -> None:
    with managed(lab, tmp_path) as (server, manager):
        manager.hears("WATCHDOG=1")
        manager.hears("WATCHDOG=1")
        assert looked_up(lab.client) == [WWW]
        told = manager.hears("STATUS=")
        each = ", ".join(rf"{name} \d+" for name in ("queue 2", "the kernel door", "the TCP door"))
        while not re.fullmatch(rf"STATUS=\d+ answers a second \({each}\)", told):
            assert told == "STATUS=serving"
            told = manager.hears("STATUS=")
        server.signal(signal.SIGHUP)
        reloading, stamp = manager.hears("RELOADING=1").split("\n")
        assert reloading == "RELOADING=1"
        since_us = time.monotonic_ns() / 1000 - int(stamp.removeprefix("MONOTONIC_USEC="))
        assert 0 <= since_us < PATIENCE * 1e6
        manager.hears("READY=1")
        server.signal(signal.SIGTERM)
        manager.hears("STOPPING=1")
        assert server.process.wait(PATIENCE) == 0
        manager.read()
        assert not [text for text in manager.told if text.startswith("WATCHDOG")]


def test_a_broken_reload_ends_too(lab: Lab, tmp_path: Path) -> None:
    with managed(lab, tmp_path) as (server, manager):
        (tmp_path / "zones" / "example.zone").write_text("broken\n")
        server.signal(signal.SIGHUP)
        manager.hears("RELOADING=1")
        manager.hears("READY=1")
        assert "the old stays in use" in server.log()


@needs_x86
def test_the_watchdog_bites_for_a_door_alone(lab: Lab, tmp_path: Path) -> None:
    """A worker's queue can be handed to the kernel, what is a door's to nobody."""
    with managed(lab, tmp_path) as (server, manager):
        status = server.status()
        with frozen(status["queues"]["2"]["thread"]):
            eventually(lambda: "worker of queue 2 is stalled" in server.log(), "the hand-over")
            manager.read()
            manager.told.clear()
            manager.hears("WATCHDOG=1")
        with frozen(status["slow_path"]["udp"]["thread"]):
            eventually(lambda: "the UDP listener is stalled" in server.log(), "the verdict")
            manager.read()
            manager.told.clear()
            # Two more rounds of what is told otherwise.
            manager.hears("STATUS=")
            manager.hears("STATUS=")
            assert "WATCHDOG=1" not in manager.told
        manager.hears("WATCHDOG=1")


@pytest.mark.parametrize("way_in", ["true", "false"])
def test_the_watchdog_bites_where_a_foreign_program_leaves_nobody(
    lab: Lab, tmp_path: Path, way_in: str
) -> None:
    config = CONFIG.replace("queues", f"slow_path = {way_in}\nqueues")
    with foreign_program(lab) as foreign, managed(lab, tmp_path, config) as (server, manager):
        detach_link(lab)
        while not foreign.attach("xdpdrv"):
            detach_link(lab)
        who = "the slow path" if way_in == "true" else "nothing"
        eventually(lambda: f"from server0, and {who} answers" in server.log(), "the log")
        manager.read()
        manager.told.clear()

        def told_two_rounds() -> bool:
            manager.read()
            return sum(text.startswith("STATUS=") for text in manager.told) >= 2

        eventually(told_two_rounds, "what is told otherwise")
        assert ("WATCHDOG=1" in manager.told) == (way_in == "true")
        foreign.detach()
        manager.hears("WATCHDOG=1")
