"""JSON zones loaded as a starting server does: with databases, views, and what is wrong of them."""

from __future__ import annotations

import gc
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import dns.message
import pytest
from mmdb_files import asn_record, city_record, write_database
from zone_bytes import but_for_its_slot
from zone_loads import addresses, state_of

from xdpkit._core._answer import answer
from xdpkit._core._geo_view import GeoView
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._thread_state import ThreadState
from xdpkit.config.geo import GeoFiles
from xdpkit.runtime.privileges import unprivileged
from xdpkit.services.dns.compiler import view_file
from xdpkit.services.dns.compiler.arena_file import cache_directory
from xdpkit.services.dns.serving import geo_views
from xdpkit.services.dns.serving.batch import Outcome, _outcomes
from xdpkit.services.dns.serving.comparing import compared
from xdpkit.services.dns.serving.geo_views import Views
from xdpkit.services.dns.serving.store import Load, load_zones
from xdpkit.services.dns.serving.watch import _differences
from xdpkit.services.dns.zonefile.sources import Stat

CITIES = {
    "198.51.100.0/24": city_record("US", "CA"),
    "203.0.113.0/24": city_record("DE", "BE"),
}


def zone(*more: str, targeting: str = "@ country") -> str:
    labels: dict[str, Any] = {"": {"ns": ["ns.test."]}, "www": {"a": [["192.0.2.1", 5]]}}
    labels |= {f"www.{each}": {"a": [[f"192.0.2.{10 + i}", 5]]} for i, each in enumerate(more)}
    return json.dumps({"serial": 1, "targeting": targeting, "data": labels})


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "zones").mkdir()
    (tmp_path / "geoip").mkdir()
    write_database(tmp_path / "geoip" / "GeoLite2-City.mmdb", CITIES)
    return tmp_path


def load(directory: Path, before: Load | None = None, cache: Path | None = None) -> Load:
    async def run() -> Load:
        geo = GeoFiles(directory / "geoip")
        old = before.table if before else None
        return await load_zones(directory / "zones", cache, before=old, geo=geo)

    return anyio.run(run)


def changed(load: Load) -> dict[str, Stat | None]:
    """What a look at all files finds."""
    table = load.table
    return _differences(table.directory, table.geo, table.others, table.known)


def ask(load: Load, source: str) -> str:
    """The address of www.test for a client."""
    snapshot = Snapshot({"dns": 53}, zones=load.table.directory_of_arenas(), dns={"ecs": 1})
    request = dns.message.make_query("www.test", "A").to_wire()
    _, reply = answer(snapshot, "dns", request, (source, 4000), state=ThreadState())
    assert reply is not None
    [[record]] = dns.message.from_wire(reply).answer
    return str(record.address)


def test_answers_by_the_databases(directory: Path) -> None:
    (directory / "zones" / "test.json").write_text(zone("us", "de"))
    found = load(directory, cache=directory / "cache")
    assert [ask(found, source) for source in ("198.51.100.7", "203.0.113.7", "192.0.2.1")] == [
        "192.0.2.10",
        "192.0.2.11",
        "192.0.2.1",
    ]
    sources = {source.path for source in state_of(found, "test").sources}
    assert str(directory / "geoip" / "GeoLite2-City.mmdb") in sources
    # From the tables that were kept.
    (directory / "zones" / "test.json").write_text(zone("us", "de", "nl"))
    again = load(directory, cache=directory / "cache")
    assert again.compiled == 1
    assert ask(again, "203.0.113.7") == "192.0.2.11"
    assert not compared(again.table).again


def test_zones_of_the_same_targets_share_a_view(directory: Path) -> None:
    gc.collect()
    for name, labels in (("test", ("us", "de")), ("other", ("de", "us")), ("third", ("us",))):
        (directory / "zones" / f"{name}.json").write_text(zone(*labels))
    found = load(directory)
    views = {name: state_of(found, name).view for name in ("test", "other", "third")}
    assert views["test"] is views["other"] is not None
    assert views["third"] is not views["test"]
    assert len(geo_views._in_use) == 2
    del found, views
    gc.collect()
    assert not geo_views._in_use


def test_a_database_that_is_no_good_keeps_the_zone(directory: Path) -> None:
    (directory / "zones" / "test.json").write_text(zone("us", "de"))
    first = load(directory)
    path = directory / "geoip" / "GeoLite2-City.mmdb"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert compared(first.table).again
    second = load(directory, first)
    [error] = state_of(second, "test").errors
    assert error.startswith(f"{path}: ")
    assert ask(second, "198.51.100.7") == "192.0.2.10"
    # Without any, the directory is named, and looked at.
    path.unlink()
    third = load(directory, second)
    [error] = state_of(third, "test").errors
    assert error.startswith(f"{directory / 'geoip'}: no databases found")
    path.write_bytes(whole)
    assert compared(third.table).again
    assert not state_of(load(directory, third), "test").errors


def test_a_database_that_is_put_beside(directory: Path) -> None:
    text = zone("us", "de", "as64496", targeting="@ country asn")
    (directory / "zones" / "test.json").write_text(text)
    found = load(directory)
    assert ask(found, "198.51.100.7") == "192.0.2.10"
    asn = {"198.51.100.0/24": asn_record(64496)}
    write_database(directory / "geoip" / "GeoLite2-ASN.mmdb", asn)
    assert compared(found.table).again
    assert ask(load(directory, found), "198.51.100.7") == "192.0.2.12"


def test_other_files_beside_the_databases_change_nothing(directory: Path) -> None:
    """Such as the lock file and the temporary ones of geoipupdate."""
    (directory / "zones" / "test.json").write_text(zone("us", "de"))
    found = load(directory)
    geoip = directory / "geoip"
    for name in (".geoipupdate.lock", "GeoLite2-City.mmdb.temporary", "GeoLite2-Other.mmdb"):
        (geoip / name).write_text("x")
    assert not compared(found.table).again and not changed(found)
    # Nor do databases that are not used.
    write_database(geoip / "GeoIP2-City.mmdb", CITIES)
    assert compared(found.table).again and changed(found)
    again = load(directory, found)
    (geoip / "GeoLite2-City.mmdb").unlink()
    assert not compared(again.table).again and not changed(again)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs files of another user")
def test_databases_that_may_not_be_read(directory: Path) -> None:
    for name in ("test", "other"):
        (directory / "zones" / f"{name}.json").write_text(zone("us", "de"))
    geoip = directory / "geoip"
    os.chown(geoip, 54321, 54321)
    geoip.chmod(0o700)
    found = load(directory)
    [error] = state_of(found, "test").errors
    assert error.startswith(f"{geoip}: cannot be read: root without special rights")
    assert error.endswith(f": chmod o+rx {geoip}")
    assert state_of(found, "other").errors == (error,)
    assert not unprivileged(partial(changed, found))
    geoip.chmod(0o755)
    assert str(geoip / "GeoLite2-City.mmdb") in unprivileged(partial(changed, found))
    assert not state_of(load(directory, found), "test").errors


def test_a_directory_of_databases_that_is_made_later(directory: Path) -> None:
    (directory / "zones" / "test.json").write_text(zone("us", "de"))
    (directory / "geoip").rename(directory / "elsewhere")
    found = load(directory)
    text = f"{directory / 'geoip'}: cannot be read: No such file or directory"
    assert state_of(found, "test").errors == (text,)
    assert not changed(found)
    (directory / "elsewhere").rename(directory / "geoip")
    assert str(directory / "geoip" / "GeoLite2-City.mmdb") in changed(found)
    assert not state_of(load(directory, found), "test").errors


def test_without_choices_no_view_is_needed(directory: Path) -> None:
    labels = {"": {"ns": ["ns.test."]}, "www": {"a": [["192.0.2.1"]]}}
    (directory / "zones" / "test.json").write_text(json.dumps({"data": labels}))
    assert addresses(load(directory), "www.test") == ["192.0.2.1"]


def outcome_of(data: bytes, report: dict[str, Any], views: Views) -> Outcome:
    """What becomes of a report by a child with this in its file."""
    fd = os.memfd_create("arenas")
    os.pwrite(fd, data, 0)
    [outcome] = _outcomes(fd, [report], views)
    return outcome


def lied(directory: Path, **changed: Any) -> str:
    """Why a report of a zone is refused whose view, or what is said of it, is another."""
    (directory / "zones" / "test.json").write_text(zone("us", "de"))
    state = state_of(load(directory), "test")
    assert state.arena is not None and state.view is not None
    arena = but_for_its_slot(state.arena)
    at = -(-len(arena) // 64) * 64
    name = state.view.id.hex()
    views = Views()
    views.note({"view": name, "at": 0, "size": len(arena)} | changed.get("view", {}))
    report = {"zone": "test.json", "at": 0, "size": len(arena), "sources": [], "view": name}
    del state
    gc.collect()
    data = arena + bytes(at - len(arena))
    outcome = outcome_of(data, report | changed.get("zone", {}), views)
    assert outcome.arena is None
    return str(outcome.errors[0])


def test_a_child_that_lies(directory: Path) -> None:
    assert "not a view" in lied(directory)


def test_a_child_that_lies_of_views(directory: Path) -> None:
    for at, size in ((-1, 5), (1 << 40, 5), (5, -1), (0, 0), (0, 1 << 62)):
        assert "no usable arena" in lied(directory, view={"at": at, "size": size})
    for name in ("00" * 16, "no hex", 7, None, ["x"], {}):
        assert "no usable arena" in lied(directory, zone={"view": name})


def forged(view: GeoView, block: bytes, other: bytes) -> bytes:
    """A sound view with the id of one, and the classes of another with as many."""
    assert GeoView(other).classes == view.classes and len(other) == len(block)
    return other[:40] + view.id + other[56:]


@pytest.mark.parametrize("first", ["the liar", "the honest one"])
def test_a_child_that_lies_has_its_own_zone_answered_by_its_view(
    directory: Path, first: str
) -> None:
    """It says that its view is one that another zone wants, too: the id is that of that one."""
    geo = GeoFiles(directory / "geoip")

    def compiled() -> tuple[bytes, bytes, bytes]:
        """An arena, its view, and that view's id, as a child has them."""
        (directory / "zones" / "test.json").write_text(zone("us", "de"))
        found = anyio.run(partial(load_zones, directory / "zones", directory / "cache", geo=geo))
        state = state_of(found, "test")
        assert state.arena is not None and state.view is not None
        kept = cache_directory(directory / "cache", directory / "zones")
        block = view_file.read_view(str(kept / view_file.file_name(state.view.id)))
        return but_for_its_slot(state.arena), block, state.view.id

    arena, block, name = compiled()
    elsewhere = dict(zip(("192.0.2.0/24", "203.0.113.0/24"), CITIES.values(), strict=True))
    write_database(directory / "geoip" / "GeoLite2-City.mmdb", elsewhere)
    _, other, _ = compiled()
    lie = forged(GeoView(block), block, other)
    gc.collect()

    def outcome(view: bytes) -> Outcome:
        at = -(-len(arena) // 64) * 64
        views = Views()
        views.note({"view": name.hex(), "at": at, "size": len(view)})
        report = {"zone": "test.json", "at": 0, "size": len(arena), "sources": []}
        data = arena + bytes(at - len(arena)) + view
        return outcome_of(data, report | {"view": name.hex()}, views)

    order = [lie, block] if first == "the liar" else [block, lie]
    found = {data: outcome(data) for data in order}
    assert found[block].view is not found[lie].view
    client = "198.51.100.7"
    right, wrong = GeoView(block).find(client), GeoView(lie).find(client)
    assert right != wrong
    for data, expected in ((block, right), (lie, wrong)):
        view = found[data].view
        assert view is not None and view.find(client) == expected
    # Those that are the same are one, whoever made them.
    assert outcome(block).view is found[block].view
