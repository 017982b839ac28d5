"""Many zones compiled at once: whatever one of them does to the compiler costs that one."""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import anyio
import pytest
from dns_bytes_call import HEAD

from xdpkit.errors import XdpkitError
from xdpkit.runtime import child
from xdpkit.services.dns.serving import batch as batch_module
from xdpkit.services.dns.serving import compiler_child
from xdpkit.services.dns.serving.batch import Batch, Outcome, Progress
from xdpkit.services.dns.serving.compiler_child import CompilerChild, Job, WarmChild
from xdpkit.services.dns.serving.geo_views import Views

# More than there is time for, and many reports of progress: dnspython makes these records.
ENDLESS = '$GENERATE 1-1000000 a-name-that-is-not-short-$ LOC "1 N 1 E 1m"\n'
# More than there is memory for.
LARGE = "$GENERATE 1-1000000 a-name-that-is-not-short-$ A 192.0.2.1\n"


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    """Three good zones, and one between them that does not end."""
    for name in "abz":
        (tmp_path / f"{name}.zone").write_text(HEAD + "x A 192.0.2.1\n")
    (tmp_path / "m.zone").write_text(HEAD + ENDLESS)
    return tmp_path


def compilers() -> list[int]:
    """Our zone compilers that run."""
    found = []
    for pid in Path("/proc/thread-self/children").read_text().split():
        with suppress(OSError):
            if b"compiler.compile" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
    return found


def outcomes(
    directory: Path,
    on_progress: Callable[[Progress], None] = lambda _: None,
    memory: int | None = None,
    children: int = 1,
) -> dict[str, Outcome]:
    """What becomes of each file of a directory."""
    found: dict[str, Outcome] = {}

    def take(some: list[Outcome]) -> None:
        for each in some:
            assert Path(each.path).stem not in found
            found[Path(each.path).stem] = each

    async def main() -> None:
        paths = sorted(map(str, directory.glob("*.zone")))
        batch = Batch(Job(directory, memory=memory), take, on_progress)
        await batch.run(paths, children=children)
        await batch.finish()

    anyio.run(main)
    assert not compilers()
    return found


def why(found: dict[str, Outcome]) -> str:
    """Why the one has failed; all others have not."""
    assert sorted(found) == ["a", "b", "m", "z"]
    for name in "abz":
        assert found[name].arena is not None
    [error] = found["m"].errors
    return str(error)


@pytest.mark.parametrize("text", [LARGE, ENDLESS], ids=["in C", "in dnspython"])
def test_one_that_needs_too_much_memory(zones: Path, text: str) -> None:
    (zones / "m.zone").write_text(HEAD + text)
    line = why(outcomes(zones, memory=128 << 20))
    assert line.startswith(f"{zones}/m.zone: needs more than the 128 MiB of memory")


@pytest.mark.parametrize(
    "number, words",
    [
        (signal.SIGKILL, "the zone compiler was ended by SIGKILL (in m.zone, at record "),
        (signal.SIGSTOP, "the zone compiler made no progress for 2 s (in m.zone, at record "),
    ],
)
def test_one_during_which_it_dies(
    zones: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    monkeypatch.setattr(compiler_child, "IDLE_SECONDS", 2)

    def interfere(progress: Progress) -> None:
        if progress.path.endswith("m.zone") and progress.records > 20_000:
            for pid in compilers():
                os.kill(pid, number)

    found = outcomes(zones, interfere)
    assert words in why(found)
    # What a file system or somebody else did may be over.
    assert found["m"].stuck == (number == signal.SIGSTOP)


def test_a_compiler_that_does_not_work_is_no_zones_fault(
    zones: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "python", lambda *_: [sys.executable, "-c", "1 / 0"])
    with pytest.raises(XdpkitError, match=r"exited with status 1; .*ZeroDivisionError"):
        outcomes(zones)


def test_one_that_ends_early_is_no_endless_loop(
    zones: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """print('{"ready": true}')"""
    monkeypatch.setattr(child, "python", lambda *_: [sys.executable, "-c", code])
    with pytest.raises(XdpkitError, match="ended before its work was done"):
        outcomes(zones)


def test_several_children_share_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "WORTH_ANOTHER", 10)
    # One must not be done with them before another has started.
    for number in range(800):
        (tmp_path / f"z{number}.zone").write_text(HEAD + f"x A 192.0.2.{number % 250}\n")
    (tmp_path / "bad.zone").write_text("bad\n")
    at_once: set[int] = set()
    found = outcomes(tmp_path, lambda _: at_once.update(compilers()), children=4)
    assert len(at_once) == min(4, len(os.sched_getaffinity(0)))
    assert sorted(name for name, each in found.items() if each.arena is None) == ["bad"]
    assert len(found) == 801


@pytest.fixture
def warm(tmp_path: Path) -> Iterator[tuple[WarmChild, Job]]:
    (tmp_path / "z.zone").write_text(HEAD)
    yield WarmChild(), Job(tmp_path)
    assert not compilers()


def test_a_warm_child_waits_and_works(warm: tuple[WarmChild, Job]) -> None:
    kept, job = warm
    found: list[Outcome] = []

    async def main() -> None:
        for _ in range(3):
            await kept.start(job)
        # A process that has just begun a program has no command line for a moment.
        with anyio.fail_after(20):
            while not compilers():
                await anyio.sleep(0.01)
        [pid] = compilers()
        assert kept.take(Job(job.directory, background=True)) is None
        made = kept.take(job)
        assert made is not None and kept.take(job) is None
        batch = Batch(job, found.extend)
        await batch.run([str(job.directory / "z.zone")], made)
        assert await batch.finish() == ""
        assert pid not in compilers()

    anyio.run(main)
    assert [each.arena is not None for each in found] == [True]


def test_a_warm_child_that_is_not_needed(warm: tuple[WarmChild, Job]) -> None:
    kept, job = warm

    async def main() -> None:
        await kept.start(job)
        await kept.close()
        assert not compilers() and kept.take(job) is None
        # Its parent may die: it ends with its input.
        made = await CompilerChild.start(job)
        assert made._process.stdin is not None
        await made._process.stdin.aclose()
        with anyio.fail_after(20):
            await made._process.wait()
        assert made.ended and made._process.returncode == 0
        await made.close()

    anyio.run(main)


@pytest.mark.parametrize(
    "at, size",
    [
        (0, 1 << 62),
        (0, 4097),
        (4096, 1),
        (-1, 64),
        (64, -64),
        (0, 0),
        (1 << 80, 1),
        (0, 1 << 80),
        (0, 4096),
        (0.5, 64),
        ("0", 64),
        (None, 64),
        (0, [64]),
        (True, False),
    ],
)
def test_what_a_compiler_reports_is_not_believed(at: object, size: object) -> None:
    """Whatever it says about where an arena is: that zone has none, and no other is touched."""
    fd = os.memfd_create("arenas")
    os.pwrite(fd, b"x" * 4096, 0)
    report = {"zone": "/z.zone", "at": at, "size": size, "sources": []}
    other = {"zone": "/y.zone", "errors": [], "at": at, "size": size, "sources": []}
    found = batch_module._outcomes(fd, [report, other], Views())
    assert [outcome.path for outcome in found] == ["/z.zone", "/y.zone"]
    for outcome in found:
        assert outcome.arena is None and not outcome.stuck
        assert "the zone compiler produced no usable arena" in str(outcome.errors[0])
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_hole_in_what_a_compiler_made_is_not_read() -> None:
    """It costs the compiler nothing, and the server memory."""
    fd = os.memfd_create("arenas")
    os.ftruncate(fd, 1 << 40)
    report = {"zone": "/z.zone", "at": 0, "size": 1 << 40, "sources": []}
    [outcome] = batch_module._outcomes(fd, [report], Views())
    assert "it is not in the file" in str(outcome.errors[0])


def test_reports_that_make_no_sense(tmp_path: Path) -> None:
    """More than there are files, of files that were not given, without what belongs in them."""
    seen: list[Progress] = []
    batch = Batch(Job(tmp_path), lambda _: None, seen.append)
    batch._count = 2
    reader = batch_module._Reader(batch, cast(CompilerChild, None), deque(["/a.zone", "/b.zone"]))
    for report in (
        {"reading": 7},
        {"reading": "/a.zone", "records": "x", "share": float("inf")},
        {"view": 7},
        {},
        {"zone": "/b.zone"},
        {"zone": ["/a.zone"]},
        {"zone": "/a.zone", "unlisted": float("inf"), "at": 0, "size": 0, "sources": []},
        {"zone": "/b.zone"},
        {"zone": "/a.zone"},
        {"zone": "/c.zone"},
    ):
        reader._on_report(report)
    assert [report["zone"] for report in reader._found] == ["/a.zone", "/b.zone"]
    assert all(0 <= each.share <= 1 for each in seen)
    found = batch_module._outcomes(os.memfd_create("arenas"), reader._found, Views())
    assert [outcome.path for outcome in found] == ["/a.zone", "/b.zone"]
    assert all("no usable arena" in str(outcome.errors[0]) for outcome in found)
