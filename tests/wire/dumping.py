"""``xdpkit dump`` beside a running instance, as an operator starts and ends it."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any, Self

from pcapng_file import Packet, packets
from serving import PATIENCE, XDPKIT, Server, eventually

from xdpkit.lab.namespaces import Lab, Side


class Dump:
    """One that runs in the block, and is ended by Ctrl-C after it; ``facts`` are what it says then.

    It has begun once the constructor returns.
    """

    def __init__(self, server: Server, path: Path, *arguments: str) -> None:
        self.server, self.path = server, path
        self.facts: dict[str, Any] = {}
        begun = server.status()["captures"]["begun"]
        self.process = server.side.popen(
            *(XDPKIT, "dump", "-w", str(path), "--json", *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        eventually(lambda: self._has_begun(begun), "a capture")

    def _has_begun(self, before: int) -> bool:
        assert self.process.poll() is None, self.process.communicate()[1]
        captures = self.server.status()["captures"]
        return captures["begun"] > before and len(captures["running"]) > 0

    def end(self, how: int = signal.SIGINT) -> dict[str, Any]:
        """Ends it with a signal; returns its counts."""
        self.process.send_signal(how)
        return self.finished()

    def finished(self) -> dict[str, Any]:
        """Its counts, once it has ended by itself."""
        out, err = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, err
        self.facts = json.loads(out)
        return self.facts

    def packets(self) -> list[Packet]:
        return packets(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self.process.poll() is None and kind is None:
            self.end()
        self.process.kill()
        self.process.communicate()


def tshark(path: Path, *fields: str, options: tuple[str, ...] = ()) -> list[list[str]]:
    """What Wireshark makes of a file: these fields of each packet."""
    wanted = [part for field in fields for part in ("-e", field)]
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-T", "fields", *options, *wanted],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def as_somebody(side: Side, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``xdpkit dump`` as a user without rights."""
    who = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    return side.run(*who, XDPKIT, "dump", *arguments)


def blast(lab: Lab, *arguments: str) -> None:
    """NTP requests to the served queue, all of which must be answered rightly."""
    done = lab.client.run(
        *(XDPKIT, "blast", "ntp", "--to", lab.server.ipv4, "--interface", "client0"),
        *("--queue", "2", *arguments),
    )
    assert done.returncode == 0, done.stdout + done.stderr
