"""Messages to the service manager: sd_notify(3) over a real socket."""

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
from serving import CONFIG, PATIENCE, WWW, Server, eventually, look_up, write_config

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns


class Manager:
    """The service manager's end: all messages so far, in order."""

    def __init__(self, path: Path) -> None:
        self.messages: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def wait_for(self, beginning: str) -> str:
        """Waits for a message, and drops those before it."""

        def received() -> str | None:
            self.read()
            return next((text for text in self.messages if text.startswith(beginning)), None)

        found = eventually(received, beginning)
        del self.messages[: self.messages.index(found) + 1]
        return found

    def read(self) -> None:
        while True:
            try:
                self.messages.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return

    def close(self) -> None:
        self._socket.close()


@contextmanager
def managed(lab: Lab, directory: Path, config: str = CONFIG) -> Iterator[tuple[Server, Manager]]:
    """An instance whose service manager has a watchdog of 600 ms."""
    manager = Manager(directory / "notify")
    before = ("env", f"NOTIFY_SOCKET={directory / 'notify'}", "WATCHDOG_USEC=600000")
    server = Server(lab.server, write_config(directory, config), before=before)
    try:
        manager.wait_for("READY=1")
        yield server, manager
    finally:
        server.kill()
        manager.close()


def test_a_life(lab: Lab, tmp_path: Path) -> None:
    with managed(lab, tmp_path) as (server, manager):
        manager.wait_for("WATCHDOG=1")
        manager.wait_for("WATCHDOG=1")
        assert look_up(lab.client) == [WWW]
        status = manager.wait_for("STATUS=")
        each = ", ".join(
            rf"{name} \d+" for name in ("queue 2", "the UDP listener", "the TCP listener")
        )
        while not re.fullmatch(rf"STATUS=healthy; \d+ answers a second \({each}\)", status):
            assert status == "STATUS=healthy; serving"
            status = manager.wait_for("STATUS=")
        server.signal(signal.SIGHUP)
        reloading, stamp = manager.wait_for("RELOADING=1").split("\n")
        assert reloading == "RELOADING=1"
        since_us = time.monotonic_ns() / 1000 - int(stamp.removeprefix("MONOTONIC_USEC="))
        assert 0 <= since_us < PATIENCE * 1e6
        manager.wait_for("READY=1")
        server.signal(signal.SIGTERM)
        manager.wait_for("STOPPING=1")
        assert server.process.wait(PATIENCE) == 0
        manager.read()
        assert not [text for text in manager.messages if text.startswith("WATCHDOG")]


def test_a_broken_reload_ends_too(lab: Lab, tmp_path: Path) -> None:
    with managed(lab, tmp_path) as (server, manager):
        (tmp_path / "zones" / "example.zone").write_text("broken\n")
        server.signal(signal.SIGHUP)
        manager.wait_for("RELOADING=1")
        manager.wait_for("READY=1")
        assert "stays in use" in server.log()


@needs_x86
def test_the_watchdog_bites_only_for_a_listener(lab: Lab, tmp_path: Path) -> None:
    """The slow path can take over a worker's queue, but nobody a listener's requests."""
    with managed(lab, tmp_path) as (server, manager):
        status = server.status()
        with frozen(status["queues"]["2"]["thread"]):
            eventually(lambda: "worker of queue 2 is stalled" in server.log(), "the hand-over")
            manager.read()
            manager.messages.clear()
            manager.wait_for("WATCHDOG=1")
        with frozen(status["slow_path"]["udp"]["thread"]):
            eventually(lambda: "the UDP listener is stalled" in server.log(), "the verdict")
            said = manager.wait_for("STATUS=down")
            assert said.startswith("STATUS=down: not everything is answered; the thread of the UDP")
            manager.read()
            manager.messages.clear()
            # Two more rounds of the other messages.
            manager.wait_for("STATUS=")
            manager.wait_for("STATUS=")
            assert "WATCHDOG=1" not in manager.messages
        manager.wait_for("WATCHDOG=1")


@pytest.mark.parametrize("slow_path", ["true", "false"])
def test_the_watchdog_bites_where_a_foreign_program_leaves_nobody(
    lab: Lab, tmp_path: Path, slow_path: str
) -> None:
    config = CONFIG.replace("queues", f"slow_path = {slow_path}\nqueues")
    with foreign_program(lab) as foreign, managed(lab, tmp_path, config) as (server, manager):
        detach_link(lab)
        while not foreign.attach("xdpdrv"):
            detach_link(lab)
        who = "the slow path" if slow_path == "true" else "nothing"
        eventually(lambda: f"from server0, and {who} answers" in server.log(), "the log")
        manager.read()
        manager.messages.clear()

        def two_more_rounds() -> bool:
            manager.read()
            return sum(text.startswith("STATUS=") for text in manager.messages) >= 2

        eventually(two_more_rounds, "the other messages")
        assert ("WATCHDOG=1" in manager.messages) == (slow_path == "true")
        foreign.detach()
        manager.wait_for("WATCHDOG=1")
