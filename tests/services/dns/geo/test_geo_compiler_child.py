"""The zone compiler's process with JSON zones: arenas, errors and warnings as of master files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from dns_bytes_call import HEAD
from geo_arena_reader import GeoArena

from xdpkit._core._geo_view import GeoView
from xdpkit._core._zones import ZoneArena
from xdpkit.services.dns.compiler.process import OUT_OF_MEMORY

ZONE = {
    "serial": 3,
    "data": {"": {"ns": ["ns.test."]}, "a": {"a": [["192.0.2.1", 5], ["192.0.2.2"]]}},
}


def reports(
    directory: Path, *paths: Path, options: tuple[str, ...] = ("--geo",), status: int = 0
) -> Any:
    """What the process says of each file, and the arenas that it made."""
    fd = os.memfd_create("test-arenas")
    command = [sys.executable, "-P", "-m", "xdpkit.services.dns.compiler.compile"]
    lines = "".join(json.dumps(str(path)) + "\n" for path in paths)
    try:
        done = subprocess.run(
            [*command, "--fd", str(fd), *options, str(directory)],
            input=lines,
            capture_output=True,
            text=True,
            pass_fds=(fd,),
            check=False,
            timeout=60,
        )
        assert done.returncode == status, done.stderr
        found = [json.loads(line) for line in done.stdout.splitlines()]
        zones = [each for each in found if "zone" in each]
        views = {each["view"]: each for each in found if "view" in each and "zone" not in each}
        for each in zones:
            if "at" in each:
                each["bytes"] = os.pread(fd, each["size"], each["at"])
                each["arena"] = ZoneArena(each["bytes"])
            if "view" in each:
                view = views[each["view"]]
                each["view"] = GeoView(os.pread(fd, view["size"], view["at"]))
        return zones
    finally:
        os.close(fd)


def test_both_kinds_of_zones(tmp_path: Path) -> None:
    one, other = tmp_path / "z.example.json", tmp_path / "y.example.zone"
    one.write_text(json.dumps(ZONE))
    other.write_text(HEAD)
    made, plain = reports(tmp_path, one, other)
    assert made["arena"].name == b"\1z\7example\0" and made["arena"].serial == 3
    assert plain["arena"].name == b"\1y\7example\0"
    assert [source[0] for source in made["sources"]] == [str(one)]


def test_errors_have_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "z.example.json"
    path.write_text('{"data": {\n"a": {"a": [["300.0.2.1"]], "ttl": -1}}}')
    [found] = reports(tmp_path, path)
    places = [(each["path"], each["line"], each["column"]) for each in found["errors"]]
    assert places == [(str(path), 2, 14), (str(path), 2, 36)]
    assert '"300.0.2.1"' in found["errors"][0]["error"]
    assert [source[0] for source in found["sources"]] == [str(path)]


def test_warnings_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "z.example.json"
    path.write_text('{"data": {\n"a": {"b": 1}}}')
    [found] = reports(tmp_path, path, options=("--geo", "--warn"))
    assert [each[:2] for each in found["warnings"]] == [[str(path), 2], [str(path), 1]]
    assert found["warnings"][0][2].startswith('unknown key "b" is left out')


def test_a_zone_that_is_there_twice(tmp_path: Path) -> None:
    one, other = tmp_path / "z.example.json", tmp_path / "z.example.zone"
    one.write_text(json.dumps(ZONE))
    other.write_text(HEAD)
    errors = [each["errors"][0]["error"] for each in reports(tmp_path, one, other)]
    text = "the same zone as {}; remove one of them"
    assert errors == [text.format(other.name), text.format(one.name)]


def test_relaxed_json_only_where_it_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "z.example.json"
    path.write_text('{"data": {"a": {"txt": "x"},},} # done\n')
    [strict] = reports(tmp_path, path)
    [relaxed] = reports(tmp_path, path, options=("--geo", "--relax"))
    assert "a comma before" in strict["errors"][0]["error"] and "arena" in relaxed


def test_what_a_client_gets_depends_on_where_it_is(tmp_path: Path) -> None:
    path, locations = tmp_path / "z.example.json", tmp_path / "locations"
    labels = {"a": {"a": [["192.0.2.1"]]}, "a.nl": {"a": [["192.0.2.2"]]}}
    path.write_text(json.dumps({"data": labels | {"a.europe": {"a": [["192.0.2.3"]]}}}))
    locations.write_text("198.51.100.0/24 nl\n203.0.113.0/25 de\n")
    again, other = tmp_path / "x.example.json", tmp_path / "y.example.zone"
    again.write_text(path.read_text())
    other.write_text(HEAD)
    options = ("--geo", "--map", str(locations))
    found, same, plain = reports(tmp_path, path, again, other, options=options)
    arena, wire = GeoArena(found["bytes"]), b"\1a\1z\7example\0"
    got = {}
    for address in ("198.51.100.7", "203.0.113.1", "203.0.113.129", "2001:db8::1"):
        number, _ = found["view"].find(address)
        is_choice, choice = arena.lookup(wire, 1)
        [records] = arena.chances(choice, number, wire, 1, lambda _: True)
        got[address] = [rdata[3] for rdata, _ in records.records]
        assert is_choice
    wanted = {"198.51.100.7": 2, "203.0.113.1": 3, "203.0.113.129": 1, "2001:db8::1": 1}
    assert got == {address: [last] for address, last in wanted.items()}
    assert arena.view == found["view"].id == same["view"].id == GeoArena(same["bytes"]).view
    assert [source[0] for source in found["sources"]] == [str(path), str(locations)]
    assert plain["arena"].name == b"\1y\7example\0"


def test_locations_that_are_no_good(tmp_path: Path) -> None:
    path, locations = tmp_path / "z.example.json", tmp_path / "locations"
    path.write_text(json.dumps({"data": {"a": {"txt": "x"}, "a.nl": {"txt": "y"}}}))
    locations.write_text("198.51.100.0/24 nl\nnonsense\n198.51.100.0/24 qq\n")
    [found] = reports(tmp_path, path, options=("--geo", "--map", str(locations)))
    places = [(error["path"], error["line"]) for error in found["errors"]]
    assert places == [(str(locations), 2), (str(locations), 3)]


def test_databases_that_need_too_much_memory_are_looked_at_again(tmp_path: Path) -> None:
    path, geoip = tmp_path / "z.example.json", tmp_path / "geoip"
    path.write_text(json.dumps({"data": {"a": {"txt": "x"}, "a.nl": {"txt": "y"}}}))
    geoip.mkdir()
    database = geoip / "GeoLite2-City.mmdb"
    database.touch()
    os.truncate(database, 1 << 30)
    options = ("--geo", "--geoip", str(geoip), "--memory", str(300 << 20))
    [found] = reports(tmp_path, path, options=options, status=OUT_OF_MEMORY)
    assert "of memory" in found["errors"][0]["error"]
    assert str(database) in [source[0] for source in found["sources"]]
