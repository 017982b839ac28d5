"""What the tests of a takeover share: successors with a fault, and what the predecessor says."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from serving import CONFIG, IFNAME, PATIENCE, QUEUE, STARTING, Server, Started, eventually
from steady import SteadyClient

from xdpkit.lab.namespaces import Lab

HERE = Path(__file__).parent
ALONE = CONFIG.replace("queues", "slow_path = false\nqueues")

KEPT = "not taken over ("

# The rule is two seconds; a busy machine may take longer to run anything at all.
SILENCE = 2.0 + 8.0


@contextmanager
def faulty_successor(
    server: Started, point: str, number: str, before: Sequence[str] = ()
) -> Iterator[Started]:
    """A real successor that gets the signal at the point."""
    script = str(HERE / "takeover_fault.py")
    program = (sys.executable, "-P", script, point, number)
    started = Started(server.side, server.path, before, ("--takeover",), program)
    try:
        yield started
    finally:
        started.signal(signal.SIGCONT)
        started.kill()


@contextmanager
def fake_successor(lab: Lab, *steps: str) -> Iterator[subprocess.Popen[str]]:
    script = str(HERE / "fake_successor.py")
    with lab.server.popen(
        sys.executable, "-P", script, IFNAME, *steps, stdout=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def ended(server: Server) -> Iterator[None]:
    """Ends a server with the block."""
    try:
        yield
    finally:
        server.kill()


def wait_until_stopped(process: subprocess.Popen[str]) -> None:
    path = Path(f"/proc/{process.pid}/stat")
    eventually(lambda: path.read_text().rsplit(")", 1)[1].split()[0] == "T", "SIGSTOP", STARTING)


def wait_until_kept(server: Server, times: int) -> None:
    """Waits until so many successors were refused, one line of the log for each."""
    eventually(lambda: server.status()["takeover"]["kept"] >= times, "the refusal", 3 * PATIENCE)
    assert server.log().count(KEPT) == server.status()["takeover"]["kept"] == times


def check_the_ring_answers(server: Server, client: SteadyClient) -> None:
    assert not server.status()["queues"][str(QUEUE)]["detached"]
    before = server.answers_by("ring")
    client.wait_for_more()
    assert server.answers_by("ring") > before


def as_server(successor: Started, like: Server) -> Server:
    """The successor, once it serves, as an object that can be asked."""
    server: Server = object.__new__(Server)
    server.__dict__ |= successor.__dict__ | {"side": like.side, "ifname": like.ifname}
    return server
