"""The lock between instances: held by one process, given on, freed by its end."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from control_lab import next_line

from xdpkit.control import client
from xdpkit.control import lock as locks
from xdpkit.control.lock import InstanceLock
from xdpkit.errors import ControlError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "run"


def made(directory: Path, ifindex: int = 7) -> InstanceLock:
    return InstanceLock("eth1", ifindex, directory)


def test_one_holder(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_PATIENCE_SECONDS", 0.05)
    first, second, other = made(directory), made(directory), made(directory, 8)
    first.acquire()
    other.acquire()
    with pytest.raises(ControlError) as caught:
        second.acquire()
    assert str(caught.value) == (
        f"another xdpkit serves eth1 (pid {os.getpid()}): stop it, or serve another interface"
    )
    second.find_holder()
    assert second.holder == (os.geteuid(), "") and second.fd is None
    first.close()
    second.find_holder()
    assert second.holder is None
    second.acquire()
    second.close()
    other.close()
    assert list(directory.iterdir()) == []


def test_given_to_a_successor(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_PATIENCE_SECONDS", 0.05)
    first, successor, third = made(directory), made(directory), made(directory)
    first.acquire()
    assert first.fd is not None
    # A successor that goes away again.
    os.close(os.dup(first.fd))
    with pytest.raises(ControlError):
        third.acquire()
    successor.adopt(os.dup(first.fd))
    first.give()
    first.close()
    with pytest.raises(ControlError):
        third.acquire()
    successor.close()
    third.acquire()
    third.close()


def test_freed_by_the_end_of_the_process(directory: Path) -> None:
    script = f"""
import time; from pathlib import Path; from xdpkit.control.lock import InstanceLock
InstanceLock("eth1", 7, Path({str(directory)!r})).acquire(); print("held", flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-P", "-c", script]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as other:
        try:
            assert next_line(other) == "held"
            with pytest.raises(ControlError, match=rf"\(pid {other.pid}\)"):
                made(directory).acquire()
        finally:
            other.kill()
    lock = made(directory)
    lock.acquire()
    lock.close()


def test_who_only_asks_does_not_keep_it_from_being_taken(directory: Path) -> None:
    """A client looks by a shared lock, for a moment."""
    lock = made(directory)
    lock.acquire()
    lock.give()
    asking = os.open(lock.path, os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    timer = threading.Timer(0.1, os.close, [asking])
    timer.start()
    lock.acquire()
    timer.join()
    assert lock.is_held
    lock.close()


@pytest.mark.parametrize("text", [b"", b"\x1b[2J\n", b"12 34", b"9" * 60])
def test_what_the_file_says_is_not_believed(
    directory: Path, text: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_PATIENCE_SECONDS", 0.05)
    lock = made(directory)
    lock.acquire()
    lock.path.write_bytes(text)
    with pytest.raises(ControlError) as caught:
        made(directory).acquire()
    [line] = caught.value.lines()
    assert line.startswith("another xdpkit serves eth1") and line.isprintable()
    lock.close()


def test_a_file_that_was_removed_meanwhile(directory: Path) -> None:
    """It is of no use to hold a lock that nobody else finds."""
    first = made(directory)
    first.acquire()
    first.path.unlink()
    second = made(directory)
    second.acquire()
    assert second.is_held and second.path.exists()
    second.close()
    first.give()


def test_no_place_for_it(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory.mkdir()
    lock = InstanceLock("eth1", 7, directory / "nowhere" / "deeper")
    lock.acquire()
    assert not lock.is_held and lock.fd is None
    assert "install -d -m 700 -o USER" in caplog.text
    lock.close()


def test_who_may_look_at_the_locks_need_not_search(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may make any number of names, of which each would be looked at."""
    monkeypatch.setattr(locks, "STATE", directory)
    monkeypatch.setattr(client, "_listeners", lambda: pytest.fail("a search"))
    with made(directory, socket.if_nametoindex("lo")) as lock:
        lock.acquire()
        with made(directory, 7_000_000) as gone:
            gone.acquire()
            ending = lock.path.name.partition("@")[2]
            for planted in ("9" * 30, "x", "-1", "", "\u00b2"):
                directory.joinpath(f"{planted}@{ending}").touch(0o600)
            assert client.instances() == ["lo"]
    monkeypatch.setattr(client, "_listeners", list)
    assert client.instances() == []
