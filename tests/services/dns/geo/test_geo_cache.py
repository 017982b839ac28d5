"""JSON zones cached between starts, with their views: intact and current, or compiled again."""

from __future__ import annotations

import gc
import json
import os
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import dns.message
import pytest
from mmdb_files import asn_record, city_record, write_database
from zone_loads import state_of

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._thread_state import ThreadState
from xdpkit.config.geo import GeoFiles
from xdpkit.services.dns.compiler import arena_file, view_file
from xdpkit.services.dns.compiler.arena import CHECKSUM_AT, checksum
from xdpkit.services.dns.compiler.arena_file import FOOTER, cache_directory
from xdpkit.services.dns.serving.store import Load, load_zones

CITIES = {
    "198.51.100.0/24": city_record("US", "CA"),
    "203.0.113.0/24": city_record("DE", "BE"),
}
US, DE, NOWHERE = "198.51.100.7", "203.0.113.7", "192.0.2.1"


def zone(*more: str, targeting: str = "@ country") -> str:
    """www.test: 192.0.2.1, and 192.0.2.10 and on for each of these targets."""
    labels: dict[str, Any] = {"": {"ns": ["ns.test."]}, "www": {"a": [["192.0.2.1", 5]]}}
    labels |= {f"www.{each}": {"a": [[f"192.0.2.{10 + i}", 5]]} for i, each in enumerate(more)}
    return json.dumps({"serial": 1, "targeting": targeting, "data": labels})


class Site:
    """A directory of zones, one of databases, and one for the cache."""

    def __init__(self, directory: Path) -> None:
        self.zones, self.cache = directory / "zones", directory / "cache"
        self.databases, self.map = directory / "geoip", directory / "map"
        for each in (self.zones, self.databases):
            each.mkdir()
        self.geo = GeoFiles(self.databases)
        self.write("test.json", zone("us", "de"))
        write_database(self.databases / "GeoLite2-City.mmdb", CITIES)
        self.age()

    def write(self, name: str, text: str) -> None:
        """Writes a zone."""
        (self.zones / name).write_text(text)

    def age(self) -> None:
        """Has all files be so old that a change of them would be seen by their times."""
        for path in (self.databases, *self.zones.iterdir(), *self.databases.iterdir()):
            os.utime(path, ns=(0, path.stat().st_mtime_ns - 60 * 10**9))

    def load(self) -> Load:
        """Loads like a starting server."""
        return anyio.run(partial(load_zones, self.zones, self.cache, geo=self.geo))

    def origin(self) -> str:
        """Where a starting server has its one zone from."""
        load = self.load()
        assert bool(load.cached) != bool(load.compiled)
        return "cache" if load.cached else "compiled"

    @property
    def kept(self) -> Path:
        """The directory of what is cached of the zones."""
        return cache_directory(self.cache, self.zones)

    @property
    def arena(self) -> Path:
        return self.kept / "test.arena"

    @property
    def view(self) -> Path:
        """The file of the only view."""
        [path] = self.kept.glob("*.view")
        return path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    assert made.origin() == "compiled"
    return made


def ask(load: Load, source: str, name: str = "www.test") -> str:
    """The address of a name for a client."""
    snapshot = Snapshot({"dns": 53}, zones=load.table.directory_of_arenas(), dns={"ecs": 1})
    request = dns.message.make_query(name, "A").to_wire()
    _, reply = answer(snapshot, "dns", request, (source, 4000), state=ThreadState())
    assert reply is not None
    [[record]] = dns.message.from_wire(reply).answer
    return str(record.address)


def test_the_second_start_compiles_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    assert site.view.stat().st_mode & 0o777 == site.arena.stat().st_mode & 0o777 == 0o600
    before = site.view.stat().st_mtime_ns
    load = site.load()
    assert (load.cached, load.compiled) == (1, 0)
    got = [ask(load, source) for source in (US, DE, NOWHERE)]
    assert got == ["192.0.2.10", "192.0.2.11", "192.0.2.1"]
    assert site.view.stat().st_mtime_ns == before
    assert caplog.text == ""
    # What happens to the file afterwards does not affect answers.
    os.truncate(site.view, 0)
    assert ask(load, US) == "192.0.2.10"


def test_zones_of_the_same_targets_share_a_file(site: Site) -> None:
    site.write("other.json", zone("de", "us"))
    load = site.load()
    assert (load.cached, load.compiled) == (1, 1) and site.view
    load = site.load()
    assert (load.cached, load.compiled) == (2, 0)
    assert state_of(load, "test").view is state_of(load, "other").view
    assert ask(load, DE, "www.other") == "192.0.2.10"


def edit(site: Site) -> None:
    site.write("test.json", zone("de", "us"))


def edit_the_database(site: Site) -> None:
    moved = dict(zip(CITIES, reversed(CITIES.values()), strict=True))
    write_database(site.databases / "GeoLite2-City.mmdb", moved)


def add_a_database(site: Site) -> None:
    records = {"192.0.2.0/24": asn_record(64496)}
    write_database(site.databases / "GeoLite2-ASN.mmdb", records)


def add_a_map(site: Site) -> None:
    site.map.write_text("192.0.2.0/24 us\n")
    site.geo = site.geo._replace(own=site.map)


def other_databases(site: Site) -> None:
    other = site.databases.with_name("other")
    other.mkdir()
    write_database(other / "GeoLite2-City.mmdb", {})
    site.geo = site.geo._replace(databases=other)


def no_databases(site: Site) -> None:
    site.geo = site.geo._replace(databases=None)


def fewer_hosts(site: Site) -> None:
    site.geo = site.geo._replace(max_hosts=1)


def relax(site: Site) -> None:
    site.geo = site.geo._replace(relaxed=True)


CHANGES = [edit, edit_the_database, add_a_database, add_a_map]
CHANGES += [other_databases, no_databases, fewer_hosts, relax]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_it_was_made_from_counts(site: Site, change: Callable[[Site], None]) -> None:
    assert site.origin() == "cache"
    change(site)
    assert site.origin() == "compiled"
    assert site.origin() == "cache"


def test_a_map_that_changes(site: Site) -> None:
    add_a_map(site)
    assert ask(site.load(), NOWHERE) == "192.0.2.10"
    site.map.write_text("192.0.2.0/24 de\n")
    load = site.load()
    assert load.compiled == 1 and ask(load, NOWHERE) == "192.0.2.11"


def test_a_touched_database_is_the_same(site: Site) -> None:
    os.utime(site.databases / "GeoLite2-City.mmdb")
    assert site.origin() == "cache"


def test_views_that_no_zone_uses_go(site: Site) -> None:
    before = site.view
    site.write("test.json", zone("us"))
    assert site.origin() == "compiled"
    assert site.origin() == "cache"
    assert site.view != before
    (site.zones / "test.json").rename(site.zones / "z.json")
    site.write("y.json", json.dumps({"data": {"www": {"a": [["192.0.2.1"]]}}}))
    (site.zones / "z.json").unlink()
    site.load()
    site.load()
    assert {path.name for path in site.kept.glob("*.arena")} == {"y.arena"}


def test_views_are_removed_by_their_age(site: Site) -> None:
    view_file.remove_views(site.kept, (), 3600.0)
    assert site.view
    view_file.remove_views(site.kept, [bytes.fromhex(site.view.stem)])
    assert site.view
    view_file.remove_views(site.kept, ())
    assert site.arena.exists() and not list(site.kept.glob("*.view"))


def tables(site: Site) -> set[str]:
    """The databases whose tables are kept."""
    return {path.name.partition("-")[0] for path in site.kept.glob("*.locations")}


def test_tables_of_other_databases_go(site: Site) -> None:
    add_a_database(site)
    assert site.origin() == "compiled" and tables(site) == {"city", "asn"}
    stranger = site.kept / "notes.locations"
    stranger.write_text("of somebody else")
    (site.databases / "GeoLite2-ASN.mmdb").unlink()
    site.load()
    # It was just written: a reload may be about to use it.
    assert site.load().cached and tables(site) == {"city", "asn", "notes.locations"}
    for path in site.kept.glob("*.locations"):
        os.utime(path, (0, 0))
    assert site.load().cached and tables(site) == {"city", "notes.locations"}
    # Those of databases that are away for a while stay.
    (site.databases / "GeoLite2-City.mmdb").rename(site.databases / "away")
    site.load()
    assert tables(site) == {"city", "notes.locations"}
    (site.databases / "away").rename(site.databases / "GeoLite2-City.mmdb")
    site.geo = site.geo._replace(databases=None)
    site.load()
    assert tables(site) == {"notes.locations"}


def test_whoever_only_looks_removes_nothing(site: Site) -> None:
    before = sorted(path.name for path in site.kept.iterdir())
    for path in site.kept.iterdir():
        os.utime(path, (0, 0))
    load = partial(load_zones, site.zones, site.cache, keep=False, geo=GeoFiles(None))
    anyio.run(load)
    assert sorted(path.name for path in site.kept.iterdir()) == before


def test_a_broken_zone_is_served_as_it_was_kept(site: Site) -> None:
    site.write("test.json", '{"data": {')
    load = site.load()
    state = state_of(load, "test")
    assert state.errors and state.condition == "stale"
    assert ask(load, DE) == "192.0.2.11"
    # And after the next start, too.
    assert ask(site.load(), US) == "192.0.2.10"
    site.write("test.json", zone("de", "us"))
    assert ask(site.load(), US) == "192.0.2.11"


def test_a_broken_database_leaves_the_zone_as_it_was_kept(site: Site) -> None:
    path = site.databases / "GeoLite2-City.mmdb"
    path.write_bytes(path.read_bytes()[:100])
    load = site.load()
    [error] = state_of(load, "test").errors
    assert error.startswith(f"{path}: ") and ask(load, DE) == "192.0.2.11"


# -------------------------------------------------------------------------------------------------


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def open_up(path: Path) -> None:
    path.chmod(0o620)


def link(path: Path) -> None:
    path.rename(path.with_suffix(".away"))
    path.symlink_to(path.with_suffix(".away"))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


DAMAGE = [cut, empty, remove, flip, open_up, link, pipe]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_a_damaged_view_costs_its_zones(
    site: Site, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    view = site.view
    damage(view)
    assert site.origin() == "compiled"
    [line] = caplog.messages
    assert f"its view {view.name}: " in line and "compiling these zones again" in line
    caplog.clear()
    assert site.origin() == "cache"
    assert caplog.messages == []
    assert view == site.view


def test_every_bit_of_a_view_counts(site: Site, tmp_path: Path) -> None:
    data, file = site.view.read_bytes(), tmp_path / "view"
    for at in {*range(0, 64), *range(64, len(data), 9973), *range(len(data) - 90, len(data))}:
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        file.write_bytes(damaged)
        file.chmod(0o600)
        with pytest.raises(ValueError, match=r"checksum|footer"):
            view_file.read_view(str(file))


def forged(block: bytes) -> bytes:
    """The file of a view with a good checksum, as a deliberate attacker would write it."""
    return block + view_file._tail(memoryview(block))


def other_id(block: bytes) -> bytes:
    return block[:40] + bytes(16) + block[56:]


def other_magic(block: bytes) -> bytes:
    return bytes(8) + block[8:]


def too_many_classes(block: bytes) -> bytes:
    return block[:12] + struct.pack("<I", 1 << 20) + block[16:]


def entries_past_the_end(block: bytes) -> bytes:
    return block[:32] + struct.pack("<2I", 1 << 23, 1 << 23) + block[40:]


def bucket_past_the_end(block: bytes) -> bytes:
    return block[:64] + struct.pack("<2I", 1 << 23, 5 << 8) + block[72:]


def class_past_the_end(block: bytes) -> bytes:
    return block[:64] + struct.pack("<2I", 60000, 16) + block[72:]


LIES = [other_id, other_magic, too_many_classes, entries_past_the_end]
LIES += [bucket_past_the_end, class_past_the_end]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_view_that_lies_costs_its_zones(
    site: Site, caplog: pytest.LogCaptureFixture, lie: Callable[[bytes], bytes]
) -> None:
    site.write("plain.json", json.dumps({"data": {"www": {"a": [["192.0.2.77"]]}}}))
    found = state_of(site.load(), "test").view
    assert found is not None
    view = site.kept / view_file.file_name(found.id)
    view.write_bytes(forged(lie(view_file.read_view(str(view)))))
    caplog.clear()
    # While it is in use, its file is not needed.
    del found
    gc.collect()
    load = site.load()
    assert (load.cached, load.compiled) == (1, 1)
    assert f"its view {view.name}: " in caplog.text
    assert ask(load, DE) == "192.0.2.11" and ask(load, DE, "www.plain") == "192.0.2.77"
    assert site.load().cached == 2


def record_of(data: bytes) -> tuple[bytes, dict[str, Any]]:
    """The arena of a cache file, and its record."""
    _, size, length, _ = FOOTER.unpack(data[-FOOTER.size :])
    return data[:size], json.loads(data[size : size + length])


def with_record(arena: bytes, facts: dict[str, Any]) -> bytes:
    """A cache file with a good checksum."""
    text = json.dumps(facts).encode()
    digest = arena_file._digest(text, len(arena))
    return arena + text + FOOTER.pack(arena_file.MAGIC, len(arena), len(text), digest)


@pytest.mark.parametrize(
    "geo",
    [None, 7, [], ["00" * 16, "x"], ["no hex", "x"], [7, 7], ["../../etc/passwd", "x"], ["", ""]],
    ids=str,
)
def test_an_arena_that_lies_of_its_view(
    site: Site, caplog: pytest.LogCaptureFixture, geo: Any
) -> None:
    arena, facts = record_of(site.arena.read_bytes())
    site.arena.write_bytes(with_record(arena, facts | {"geo": geo}))
    assert site.origin() == "compiled"
    assert len(caplog.messages) == 1 and str(site.arena) in caplog.text
    assert site.origin() == "cache"


def test_an_arena_with_choices_past_its_end(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """With correct checksums."""
    arena, facts = record_of(site.arena.read_bytes())
    for value in (0xFFFFFFFF, len(arena) // 8 - 1, 1):
        wrong = bytearray(arena)
        struct.pack_into("<I", wrong, 80, value)
        struct.pack_into("<Q", wrong, CHECKSUM_AT, checksum(wrong))
        site.arena.write_bytes(with_record(bytes(wrong), facts))
        caplog.clear()
        assert site.origin() == "compiled"
        assert len(caplog.messages) == 1
    assert site.origin() == "cache"


def test_the_view_of_another_zone(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.write("other.json", zone("us"))
    other = state_of(site.load(), "other").view
    assert other is not None
    arena, facts = record_of(site.arena.read_bytes())
    site.arena.write_bytes(with_record(arena, facts | {"geo": [other.id.hex(), "x"]}))
    load = site.load()
    assert (load.cached, load.compiled) == (1, 1)
    assert "the view is not that of the zone arena" in caplog.text
    assert ask(load, DE) == "192.0.2.11"
