"""Changes of zone files are noticed at once, and each is waited for by itself."""

from __future__ import annotations

import logging
import os
import resource
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from dns_bytes_call import HEAD

from xdpkit.services.dns.serving import watch as watch_module
from xdpkit.services.dns.serving.inotify import Inotify
from xdpkit.services.dns.serving.store import load_zones
from xdpkit.services.dns.serving.watch import ZoneWatch
from xdpkit.services.dns.serving.zone_table import Changes, ZoneTable


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    directory = tmp_path / "zones"
    directory.mkdir()
    for name in "abc":
        (directory / f"{name}.zone").write_text(HEAD)
    (directory / "b.zone").write_text(HEAD + "$INCLUDE part\n")
    (directory / "part").write_text("x A 192.0.2.1\n")
    return directory


def follow(zones: Path, act: Callable[[ZoneWatch], Awaitable[None]]) -> None:
    """Does something with a watch on zones that are loaded."""

    async def main() -> None:
        table: ZoneTable = (await load_zones(zones)).table
        with ZoneWatch(lambda: table) as watch, anyio.fail_after(60):
            await act(watch)

    anyio.run(main)


def changed(stats: dict[str, bytes | None]) -> dict[str, bool]:
    """The names of files, and whether they are there."""
    return {Path(path).name: stat is not None for path, stat in stats.items()}


@pytest.mark.parametrize("inotify", [True, False])
def test_every_change(zones: Path, inotify: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if inotify:
        # The first scan is what starts the watch: there is no second.
        monkeypatch.setattr(watch_module, "POLL_SECONDS", 1000.0)
    else:
        monkeypatch.setattr(watch_module, "Inotify", no_inotify)
    monkeypatch.setattr(watch_module, "QUIET_SECONDS", 0.3)

    async def act(watch: ZoneWatch) -> None:
        async def after(change: Callable[[], object]) -> dict[str, bool]:
            with anyio.move_on_after(0.2):
                raise AssertionError(f"no change: {await watch.wait()}")
            change()
            stats = await watch.wait()
            table = watch._table()
            table.take(Changes(stats))
            return changed(stats)

        assert await after(lambda: (zones / "a.zone").write_text(HEAD + "\n")) == {"a.zone": True}
        assert await after(lambda: (zones / "part").write_text("\n")) == {"part": True}
        assert await after((zones / "c.zone").unlink) == {"c.zone": False}
        assert await after(lambda: (zones / "d.zone").write_text(HEAD)) == {"d.zone": True}
        assert await after(lambda: (zones / "a.zone").chmod(0)) == {"a.zone": True}
        (zones / "other").write_text("nothing of ours")

        def replace() -> None:
            (zones / "new").write_text(HEAD + "\n\n")
            (zones / "new").rename(zones / "a.zone")

        assert await after(replace) == {"a.zone": True}

    follow(zones, act)


def no_inotify() -> Inotify:
    raise OSError(24, "Too many open files")


def test_one_that_never_settles(zones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds up no other, and is read in the end."""
    monkeypatch.setattr(watch_module, "PATIENCE_SECONDS", 4.0)

    async def act(watch: ZoneWatch) -> None:
        async def write() -> None:
            with (zones / "c.zone").open("a") as file:
                while True:
                    file.write("\n")
                    file.flush()
                    await anyio.sleep(0.05)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            await anyio.sleep(0.2)
            (zones / "a.zone").write_text(HEAD + "\n")
            stats = await watch.wait()
            assert changed(stats) == {"a.zone": True}
            watch._table().take(Changes(stats))
            assert changed(await watch.wait()) == {"c.zone": True}
            tasks.cancel_scope.cancel()

    follow(zones, act)


def test_parts_of_a_zone_settle_together(zones: Path) -> None:
    async def act(watch: ZoneWatch) -> None:
        async def write() -> None:
            for _ in range(20):
                with (zones / "part").open("a") as file:
                    file.write("\n")
                await anyio.sleep(0.1)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            (zones / "b.zone").write_text(HEAD + "\n$INCLUDE part\n")
            assert changed(await watch.wait()) == {"b.zone": True, "part": True}
        assert (zones / "part").read_text().count("\n") == 21

    follow(zones, act)


def test_without_inotify(
    zones: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At the limit of its user or of descriptors: said once, and noticed all the same."""
    monkeypatch.setattr(watch_module, "Inotify", no_inotify)

    async def act(watch: ZoneWatch) -> None:
        (zones / "a.zone").write_text(HEAD + "\n")
        assert changed(await watch.wait()) == {"a.zone": True}

    follow(zones, act)
    [line] = [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
    assert "noticed within 2 s, and not at once: inotify: Too many open files" in line


def test_a_limit_of_descriptors(zones: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
        with pytest.raises(OSError, match="Too many open files"):
            Inotify()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_events_that_are_lost(zones: Path) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with Inotify() as inotify:
        inotify.watch([str(zones)])
        for number in range(most // 2):
            path = zones / f"{number}"
            path.touch()
            path.unlink()
        found = [inotify.read() for _ in range(most)]
        assert any(lost for _, lost in found)
        assert found[-1] == (set(), False)
        # From then on it goes on as before.
        (zones / "a.zone").write_text("")
        assert inotify.read() == ({f"{zones}/a.zone"}, False)


def test_a_directory_that_is_replaced(zones: Path) -> None:
    with Inotify() as inotify:
        inotify.watch([str(zones), str(zones / "nothing")])
        away = zones.rename(zones.with_name("away"))
        shutil.copytree(away, zones)
        assert inotify.read()[1]
        inotify.watch([str(zones)])
        (away / "a.zone").write_text("")
        (zones / "b.zone").write_text("")
        paths, lost = inotify.read()
        assert paths == {f"{zones}/b.zone"} and not lost


def test_a_directory_that_cannot_be_read_changes_nothing(
    zones: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "POLL_SECONDS", 0.2)
    caplog.set_level(logging.INFO)

    async def act(watch: ZoneWatch) -> None:
        away = zones.rename(zones.with_name("away"))
        with anyio.move_on_after(2):
            raise AssertionError(await watch.wait())
        away.rename(zones)
        (zones / "a.zone").write_text(HEAD + "\n")
        assert changed(await watch.wait()) == {"a.zone": True}

    follow(zones, act)
    lines = [record.getMessage() for record in caplog.records]
    assert len([line for line in lines if "are served on" in line]) == 1
    assert len([line for line in lines if "answers again" in line]) == 1
