"""A log that nobody reads, or that has no room: the server answers, and says what was lost."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving import (
    IFNAME,
    PATIENCE,
    STARTING,
    WWW,
    XDPKIT,
    ZONE,
    eventually,
    look_up,
    write_config,
)

from xdpkit.control import client as control_client
from xdpkit.errors import ControlError
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

LOST = b"of this log were lost"

# Enough for a progress bar.
HOSTS = "".join(f"host{number} A 192.0.2.7\n" for number in range(20_000))


class Logging:
    """A running instance whose standard error is ``descriptor``, which is closed here."""

    def __init__(self, lab: Lab, path: Path, descriptor: int) -> None:
        self.lab, self.path = lab, path
        self.process = lab.server.popen(
            XDPKIT, "run", "-c", str(path), stdout=subprocess.DEVNULL, stderr=descriptor
        )
        os.close(descriptor)
        eventually(self.is_ready, "xdpkit run", STARTING)

    def is_ready(self) -> bool:
        assert self.process.poll() is None
        try:
            return bool(self.status())
        except ControlError:
            return False

    def status(self) -> dict[str, object]:
        with self.lab.server.entered():
            return control_client.request(IFNAME, "status", time_limit=PATIENCE)

    @property
    def lost(self) -> int:
        count: int = self.status()["log"]["lost_lines"]  # type: ignore[index]
        return count

    def log_errors(self) -> None:
        """Reloads with a broken zone until lines are lost; what it serves is answered meanwhile."""
        before = self.lost
        (self.path.parent / "zones" / "example.zone").write_text("broken")
        for _ in range(2000):
            self.process.send_signal(signal.SIGHUP)
            if self.lost > before + 5:
                break
        assert self.lost > before + 5
        assert look_up(self.lab.client) == [WWW]
        (self.path.parent / "zones" / "example.zone").write_text(ZONE)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0


@contextmanager
def logging_to(lab: Lab, path: Path, descriptor: int) -> Iterator[Logging]:
    instance = None
    try:
        instance = Logging(lab, path, descriptor)
        yield instance
    finally:
        for child in lab.server.children:
            child.kill()
            child.wait(PATIENCE)


def fill(descriptor: int) -> None:
    """Leaves no room in a pipe."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    for size in (4096, 1):
        try:
            while True:
                os.write(descriptor, b"." * (size - 1) + b"\n")
        except BlockingIOError:
            pass
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)


def read_until(descriptor: int, words: bytes) -> bytes:
    """Everything until these words and the end of their line have come."""
    os.set_blocking(descriptor, False)
    received = bytearray()

    def found() -> bool:
        try:
            received.extend(os.read(descriptor, 1 << 16))
        except BlockingIOError:
            return False
        return words in received and received.endswith(b"\n")

    eventually(found, words.decode())
    return bytes(received)


def check_lines(text: bytes) -> None:
    """Each is whole."""
    lines = [line for line in text.replace(b"\r", b"").split(b"\n") if line.strip(b".")]
    assert all(line.startswith(b"xdpkit: ") and line.count(b"xdpkit: ") == 1 for line in lines), (
        lines
    )


@pytest.mark.parametrize("read", [True, False])
def test_a_full_pipe(lab: Lab, tmp_path: Path, read: bool) -> None:
    reader, writer = os.pipe()
    fill(writer)
    kept = os.dup(writer)
    with logging_to(lab, write_config(tmp_path), writer) as instance:
        instance.log_errors()
        # What other processes have is not changed.
        assert not fcntl.fcntl(kept, fcntl.F_GETFL) & os.O_NONBLOCK
        if read:
            check_lines(read_until(reader, LOST))
            lost = instance.lost
            instance.process.send_signal(signal.SIGHUP)
            check_lines(read_until(reader, b"reloaded: "))
            assert instance.lost == lost
        instance.stop()
    os.close(kept)
    os.close(reader)


def test_a_pipe_whose_reader_is_gone(lab: Lab, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with logging_to(lab, write_config(tmp_path), writer) as instance:
        instance.log_errors()
        instance.stop()


def test_a_stopped_terminal(lab: Lab, tmp_path: Path) -> None:
    """Ctrl-S before the start, whose progress bar is not waited for either; then Ctrl-Q."""
    controller, terminal = os.openpty()
    os.write(controller, b"\x13")
    path = write_config(tmp_path, zone=ZONE + HOSTS)
    with logging_to(lab, path, terminal) as instance:
        instance.log_errors()
        os.write(controller, b"\x11")
        assert LOST in read_until(controller, LOST)
        instance.process.send_signal(signal.SIGHUP)
        check_lines(read_until(controller, b"reloaded: "))
        os.write(controller, b"\x13")
        instance.log_errors()
        instance.stop()
    os.close(controller)


def test_a_full_disk(lab: Lab, tmp_path: Path) -> None:
    disk, path = tmp_path / "disk", write_config(tmp_path)
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    try:
        filler, log = disk / "filler", disk / "log"
        log.touch()
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(bytes(1 << 17))
        with logging_to(lab, path, os.open(log, os.O_WRONLY | os.O_APPEND)) as instance:
            instance.log_errors()
            filler.unlink()
            eventually(lambda: LOST in log.read_bytes(), "the log")
            check_lines(log.read_bytes())
            instance.stop()
    finally:
        subprocess.run(["umount", disk], check=True)
