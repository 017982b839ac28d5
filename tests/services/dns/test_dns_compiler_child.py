"""The compiler's process: ended when it is stuck or grows, and the kernel's first choice."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from dns_bytes_call import HEAD

from xdpkit.errors import XdpkitError
from xdpkit.runtime import child
from xdpkit.services.dns.serving import compiler_child
from xdpkit.services.dns.serving.store import compile_zones

# More than there is time for, ten seconds and more: it ends for another reason.
ENDLESS = '$GENERATE 1-1000000 a-name-that-is-not-short-$ LOC "1 N 1 E 1m"\n'


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    (tmp_path / "z.zone").write_text(HEAD + ENDLESS)
    return tmp_path


def compiler() -> int:
    """The PID of our zone compiler once it runs, or 0."""
    for pid in Path("/proc/thread-self/children").read_text().split():
        if b"compiler.compile" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return int(pid)
    return 0


def ended(directory: Path, meanwhile: Callable[[int], Awaitable[None]]) -> str:
    """Compiles zones, calls ``meanwhile`` with the child's PID; returns why that was ended."""

    async def run() -> None:
        pid = 0
        while not pid:
            await anyio.sleep(0.01)
            pid = compiler()
        await meanwhile(pid)

    async def main() -> str:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            with pytest.raises(XdpkitError) as caught:
                await compile_zones(directory)
        return str(caught.value)

    line = anyio.run(main)
    assert not compiler()
    return line


def test_one_that_is_stopped(endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler_child, "IDLE_SECONDS", 2)

    async def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)

    line = ended(endless, stop)
    assert "made no progress for 2 s" in line and "it was stopped, or waits for a file" in line


def test_one_that_computes_without_end(endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler_child, "SILENT_SECONDS", 2)
    monkeypatch.setattr(child, "python", lambda *_: [sys.executable, "-c", "while True: pass"])
    with pytest.raises(XdpkitError, match=r"no progress for 2 s.* it computes without a result"):
        anyio.run(compile_zones, endless)


def test_one_that_is_killed(endless: Path) -> None:
    async def kill(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    assert "was ended by SIGKILL" in ended(endless, kill)


def test_its_limits(endless: Path) -> None:
    """The kernel ends it before anything else of the service, and it has a limit by default."""
    found: list[tuple[str, int]] = []

    async def look(pid: int) -> None:
        score = Path(f"/proc/{pid}/oom_score_adj")
        while score.read_text() != "1000\n":
            await anyio.sleep(0.01)
        found.append((score.read_text(), resource.prlimit(pid, resource.RLIMIT_AS)[0]))
        os.kill(pid, signal.SIGTERM)

    ended(endless, look)
    [(_, most)] = found
    assert 1 << 30 <= most < (1 << 30) + (1 << 20)


def test_one_that_grows(tmp_path: Path) -> None:
    (tmp_path / "z.zone").write_text(HEAD + "$GENERATE 1-1000000 name-$ A 192.0.2.1\n")

    async def main() -> None:
        await compile_zones(tmp_path, memory=128 << 20)

    with pytest.raises(XdpkitError, match=r"z.zone: needs more than the 128 MiB of memory"):
        anyio.run(main)


def test_an_arena_that_grows(tmp_path: Path) -> None:
    """It is in memory, too, but not in the address space."""
    (tmp_path / "z.zone").write_text(HEAD + "$GENERATE 1-20000 $ A 192.0.2.1\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        with pytest.raises(XdpkitError, match="of memory that the zone compiler may use"):
            anyio.run(compile_zones, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
