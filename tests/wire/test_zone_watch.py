"""Changed zone files are reloaded automatically; half-written and broken ones do no harm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import CONFIG, XDPKIT, ZONE, Server, eventually, write_config

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_config(tmp_path, CONFIG.replace("[dns]\n", '[dns]\ncache = "cache"\n'))
    return tmp_path


@pytest.fixture
def server(directory: Path) -> Iterator[Server]:
    with Lab() as lab:
        server = Server(lab.server, directory / "xdpkit.toml")
        try:
            yield server
            assert server.stop() == 0
        finally:
            server.kill()


def zone(serial: int) -> str:
    return ZONE.replace("hostmaster 1 ", f"h {serial} ")


def zones(server: Server) -> dict[str, int]:
    return {name: facts["serial"] for name, facts in server.status()["zones"].items()}


def test_files_are_followed(server: Server, directory: Path) -> None:
    path = directory / "zones" / "example.zone"
    assert zones(server) == {"example": 1}
    path.write_text(zone(2))
    eventually(lambda: zones(server) == {"example": 2}, "the edited zone")
    other = directory / "zones" / "other.zone"
    other.write_text(zone(3).replace("$ORIGIN example.", "$ORIGIN other."))
    eventually(lambda: zones(server) == {"example": 2, "other": 3}, "the new zone")
    other.rename(other.with_suffix(".away"))
    eventually(lambda: zones(server) == {"example": 2}, "the zone to go")
    # As editors and rsync do: a new file renamed over the old one.
    fresh = path.with_suffix(".new")
    fresh.write_text(zone(4) + "$INCLUDE part\n")
    (directory / "zones" / "part").write_text("more A 192.0.2.9\n")
    fresh.rename(path)
    eventually(lambda: zones(server) == {"example": 4}, "the renamed zone")
    names = server.status()["zones"]["example"]["names"]
    (directory / "zones" / "part").write_text("more A 192.0.2.9\nand A 192.0.2.10\n")
    eventually(
        lambda: server.status()["zones"]["example"]["names"] == names + 1, "the included file"
    )
    eventually(lambda: server.log().count("changed: ") == 5, "a line for each")


def test_a_broken_zone_is_logged_once(server: Server, directory: Path) -> None:
    path = directory / "zones" / "example.zone"
    path.write_text(zone(2) + "www A nothing\n")
    place = f"{path}:{zone(2).count(chr(10)) + 1}:"
    eventually(lambda: place in server.log(), "the place to be named")
    # Time for checks that would log it again, and then the next change.
    first = path.stat().st_mtime_ns
    eventually(lambda: os.times().elapsed > started + 6, "some looks") if (
        started := os.times().elapsed
    ) else None
    assert path.stat().st_mtime_ns == first
    assert server.log().count(place) == 1
    assert zones(server) == {"example": 1}
    path.write_text(zone(3) + "www A still-nothing\n")
    eventually(lambda: server.log().count(place) == 2, "the next attempt to be named")
    path.write_text(zone(4))
    eventually(lambda: zones(server) == {"example": 4}, "the fixed zone")


def test_a_file_being_written_is_waited_for(server: Server, directory: Path) -> None:
    """A first half that is a valid zone itself is never served."""
    path = directory / "zones" / "example.zone"
    text = zone(2)
    half = text.index("www")
    seen = set()
    with path.open("w") as file:
        file.write(text[:half])
        file.flush()
        for line in text[half:].splitlines(keepends=True):
            file.write(line)
            file.flush()
            for _ in range(3):
                seen.add(server.status()["zones"]["example"]["names"])
                os.sched_yield()
    names = server.status()["zones"]["example"]["names"]
    eventually(lambda: zones(server) == {"example": 2}, "the whole zone")
    assert seen | {names} == {server.status()["zones"]["example"]["names"]}


def test_status_and_cache(server: Server, directory: Path) -> None:
    arena = server.status()["dns"]["arena"]
    assert arena["source"] == "compiled" and arena["bytes"] > 0 and arena["names"] > 5
    assert list(directory.joinpath("cache").iterdir()) != []
    assert server.request("reload")["zones_changed"] is False
    assert server.stop() == 0
    again = Server(server.side, directory / "xdpkit.toml")
    try:
        after = again.status()["dns"]["arena"]
        assert after["source"] == "cache"
        assert (after["bytes"], after["names"]) == (arena["bytes"], arena["names"])
        assert zones(again) == {"example": 1}
        assert again.stop() == 0
    finally:
        again.kill()


def test_a_change_that_a_refused_reload_has_read(server: Server, directory: Path) -> None:
    """The reload changes nothing; the watch takes the zones into use."""
    good = (directory / "xdpkit.toml").read_text()
    (directory / "bad.keys").write_text("no key\n")
    (directory / "xdpkit.toml").write_text(good.replace("[ntp]", '[ntp]\nkeys = "bad.keys"'))
    (directory / "zones" / "example.zone").write_text(zone(2))
    done = server.side.run(XDPKIT, "reload")
    assert done.returncode and "bad.keys:1:" in done.stderr
    eventually(lambda: zones(server) == {"example": 2}, "the edited zone")
