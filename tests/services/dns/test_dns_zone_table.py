"""How zones stand: which files each is made from, and what is served while those do not load."""

from __future__ import annotations

import logging
import os
import threading
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from dns_bytes_call import HEAD
from zone_loads import addresses, state_of

from xdpkit._core._zones import ZoneDirectory
from xdpkit.config import DnsConfig
from xdpkit.errors import XdpkitError, ZoneError
from xdpkit.runtime import off_loop
from xdpkit.runtime.publisher import Parts, SnapshotPublisher
from xdpkit.services.dns.serving.geo_servings import GeoServings
from xdpkit.services.dns.serving.store import Load, load_zones
from xdpkit.services.dns.serving.zone_report import LINES, ChangeLog
from xdpkit.services.dns.serving.zone_store import ZoneStore
from xdpkit.services.dns.serving.zone_table import ZoneState, ZoneTable, name_of, named
from xdpkit.services.dns.zonefile.zone import name_text


def publisher() -> SnapshotPublisher:
    return SnapshotPublisher(Parts({"dns": 53}))


def load(directory: Path) -> Load:
    return anyio.run(load_zones, directory)


@pytest.mark.parametrize(
    "file, name",
    [
        ("example", b"\7example\0"),
        ("Www.Example-1._x", b"\3www\x09example-1\2_x\0"),
        (".", b"\0"),
        (r"a\.b.c", b"\3a.b\1c\0"),
        (r"a\032b", b"\3a b\0"),
        ("a" * 63, b"\x3f" + b"a" * 63 + b"\0"),
    ],
)
def test_names(file: str, name: bytes) -> None:
    assert name_of(f"/zones/{file}.zone") == name
    assert named(f"{file}." if file != "." else file) == named(file) == name
    assert name_of(f"/{name_text(name)}.zone") == name


def test_a_name_with_a_slash() -> None:
    """RFC 2317: no file's name has one, so it is escaped there."""
    assert named("0/25.example") == name_of(r"/zones/0\04725.example.zone")


@pytest.mark.parametrize("file", ["a..b", "a" * 64, "*.x", ("a" * 63 + ".") * 4 + "b", ""])
def test_no_names(file: str) -> None:
    if file:
        with pytest.raises(ZoneError):
            name_of(f"/zones/{file}.zone")
    with pytest.raises(XdpkitError, match="is not a domain name"):
        named(file)


def test_two_files_for_one_zone(tmp_path: Path) -> None:
    """Differing in case, or in how a character is written: both are named, and neither is read."""
    for first, second in (("b", "B"), ("c", r"\099")):
        for name, address in ((first, 1), (second, 2)):
            (tmp_path / f"{name}.zone").write_text(HEAD + f"x A 192.0.2.{address}\n")
    (tmp_path / "a.zone").write_text(HEAD + "x A 192.0.2.3\n")
    found = load(tmp_path)
    for zone in "bc":
        state = state_of(found, zone)
        assert state.condition == "failed" and addresses(found, f"x.{zone}") == "SERVFAIL"
        assert sorted(line.split(": the same zone as ")[0] for line in state.errors) == list(
            state.paths
        )
    assert addresses(found, "x.a") == ["192.0.2.3"]


def test_10_000_zones_that_include_one_file(tmp_path: Path) -> None:
    """The table's work does not grow with the square of their number."""
    (tmp_path / "part").write_text("x A 192.0.2.1\n")
    (tmp_path / "a.zone").write_text(HEAD + "$INCLUDE part\n")
    found = load(tmp_path)
    table, [state] = found.table, list(found.table)
    counts = []
    for size in (1000, 10_000):
        tracemalloc.start()
        for number in range(size):
            name = name_of(f"/z{number}.zone")
            path = f"{tmp_path}/z{number}.zone"
            table.put_cached(name, path, ZoneState(name, (path,), state.arena, state.sources))
        counts.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert counts[1] < 20 * counts[0]
    assert len(table.names_of(f"{tmp_path}/part")) == 10_001
    assert table.others == [f"{tmp_path}/part"]


def test_so_many_lines_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = ChangeLog()
    for number in range(500):
        path = f"/zones/z{number}.zone"
        name = name_of(path)
        before = ZoneState(name, (path,))
        after = ZoneState(name, (path,), errors=(f"{path}:1:1: wrong", f"{path}:2:1: too"))
        log.add([(before, after), (after, after)])
    log.finish()
    assert len(caplog.messages) == LINES + 1
    assert caplog.messages[0] == "/zones/z0.zone:1:1: wrong; z0 is answered with SERVFAIL"
    assert caplog.messages[-1].startswith(f"and {1000 - LINES} more lines about zones")


def test_what_many_zones_do_not_load_for_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    line, other = "/geoip/City.mmdb: cut off", "/zones/z1.json:1:1: wrong"
    before, after = [], []
    for number in range(500):
        path = f"/zones/z{number}.json"
        before.append(ZoneState(name_of(path), (path,)))
        after.append(replace(before[-1], errors=(line,), since=1e9 + number))
    for repeated in range(2):
        changes = ChangeLog()
        if not repeated:
            changes.add(zip(before, after, strict=True))
            changes.add([(before[1], replace(after[1], errors=(other,)))])
        changes.add([(each, each) for each in after])
        changes.finish()
    assert caplog.messages == [
        f"{other}; z1 is answered with SERVFAIL",
        f"{line}; 500 zones do not load for it, 500 are answered with SERVFAIL: xdpkit status"
        " names them",
    ]
    caplog.clear()
    changes = ChangeLog()
    changes.add(zip(after, before, strict=True))
    changes.finish()
    assert caplog.messages == [
        f"500 zones load again, after 2001-09-09T01:46:40+00:00 ({line})",
    ]


@pytest.mark.parametrize("slow", [0, 1])
def test_of_two_directories_the_one_begun_later_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: int
) -> None:
    """They are made beside the event loop: whichever takes longer, the older never comes last."""
    zones = tmp_path / "zones"
    zones.mkdir()
    (zones / "a.zone").write_text(HEAD)
    made: list[ZoneDirectory] = []
    begun, other_done = [0], threading.Event()
    real = ZoneTable.directory_maker

    def maker(table: ZoneTable, servings: GeoServings | None = None) -> Callable[[], ZoneDirectory]:
        make, number = real(table, servings), begun[0]
        begun[0] += 1

        def work() -> ZoneDirectory:
            if number == slow:
                assert other_done.wait(60)
            made.append(make())
            return made[-1]

        return work

    async def main() -> ZoneDirectory | None:
        store = ZoneStore(DnsConfig(zones=zones, cache=None, watch=False), publisher())
        await store.load()
        monkeypatch.setattr(ZoneTable, "directory_maker", maker)

        async def show(number: int) -> None:
            await store._show()
            if number != slow:
                other_done.set()

        async with anyio.create_task_group() as around:
            around.start_soon(store.run)
            while store._keeping:
                await anyio.sleep(0.01)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(show, 0)
                while begun[0] < 1:
                    await anyio.sleep(0.01)
                tasks.start_soon(show, 1)
            around.cancel_scope.cancel()
        return store._directory

    used = anyio.run(main)
    assert used is made[0 if slow == 0 else 1]


def test_what_is_served_changes_although_files_do_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more threads are begun then, and a directory of zones needs no file."""
    zones = tmp_path / "zones"
    zones.mkdir()
    (zones / "a.zone").write_text(HEAD)

    async def main() -> tuple[ZoneDirectory | None, ZoneDirectory | None]:
        store = ZoneStore(DnsConfig(zones=zones, cache=None, watch=False), publisher())
        await store.load()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.run)
            while store._keeping:
                await anyio.sleep(0.01)
            before = store._directory
            monkeypatch.setattr(off_loop, "STUCK_MAX", 0)
            await store._show()
            tasks.cancel_scope.cancel()
        return before, store._directory

    before, after = anyio.run(main)
    assert after is not None and after is not before


def test_what_changes_often_stays_small(tmp_path: Path) -> None:
    """Each version of a zone is freed once nothing uses it, and so is each directory of them."""
    zones = tmp_path / "zones"
    zones.mkdir()
    hosts = "".join(f"h{number} A 192.0.2.1\n" for number in range(2000))
    for name in "abc":
        (zones / f"{name}.zone").write_text(HEAD + hosts)

    async def main() -> tuple[int, int]:
        parts = publisher()
        store = ZoneStore(DnsConfig(zones=zones, cache=tmp_path / "cache", watch=False), parts)
        await store.load()
        sizes = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.run)
            tasks.start_soon(parts.run)
            for number in range(60):
                (zones / "b.zone").write_text(HEAD.replace("2026112201", f"{number}") + hosts)
                found = await store.reload_zone("b")
                assert found["zones"]["b"]["serial"] == number
                sizes.append(resident())
            tasks.cancel_scope.cancel()
        return sizes[9], sizes[-1]

    first, last = anyio.run(main)
    # Fifty more versions of 200 KB each.
    assert last - first < 4 << 20


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
