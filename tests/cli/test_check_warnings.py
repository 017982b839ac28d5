"""``xdpkit check``: warnings of the zone compiler's child, on standard error and in --json."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from xdpkit.cli import check
from xdpkit.cli import main as cli
from xdpkit.services.dns.compiler import arena_file
from xdpkit.services.dns.serving.store import load_zones
from xdpkit.services.dns.serving.zone_table import name_of

GOOD = (
    "$TTL 300\n@ SOA ns1 hostmaster {} 7200 3600 1209600 60\n@ NS ns1\n@ NS ns2\n"
    "ns1 A 192.0.2.1\nns2 AAAA 2001:db8::2\n"
)

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    directory = tmp_path / "zones"
    directory.mkdir()
    (tmp_path / "x.toml").write_text(
        '[interface]\nname = "not-here"\nqueues = [0]\n[dns]\nzones = "zones"\ncache = "cache"\n'
    )
    (directory / "b.example.zone").write_text(GOOD.format(5))
    return directory


def checked(zones: Path, capsys: Captured) -> tuple[int, list[str]]:
    """Exit status, and the lines on standard error."""
    status = cli.main(["check", "-c", str(zones.parent / "x.toml")])
    out, err = capsys.readouterr()
    assert "b.example" in out or status
    return status, err.splitlines()


def test_warnings_are_lines_of_standard_error(zones: Path, capsys: Captured) -> None:
    assert checked(zones, capsys) == (0, [])
    path = zones / "a.example.zone"
    path.write_text(GOOD.format(5) + "w TXT ok\n@ MX 5 mail\n@ SRV 0 0 1 mail.a.example\n")
    status, (first, second, last) = checked(zones, capsys)
    assert status == 0
    assert first.startswith(f"{path}:8: warning: the MX record's mail.a.example has no address")
    assert second.startswith(f"{path}:9: warning: mail.a.example.a.example has the zone's name")
    assert last == "2 warnings; it can be served as it is"


def test_json_has_them_too(zones: Path, capsys: Captured) -> None:
    (zones / "a.example.zone").write_text(GOOD.format(5) + "@ MX 5 mail\n")
    assert cli.main(["check", "--json", "-c", str(zones.parent / "x.toml")]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    facts: dict[str, Any] = json.loads(out)
    (warning,) = facts["warnings"]
    assert (warning["path"], warning["line"]) == (str(zones / "a.example.zone"), 7)
    assert warning["warning"].startswith("the MX record's mail.a.example has no address")
    assert "warnings" not in facts["services"]["dns"]


def test_an_error_is_an_error(zones: Path, capsys: Captured) -> None:
    (zones / "a.example.zone").write_text(GOOD.format(5) + "@ MX 5 mail\nx A 192.0.2\n")
    status, lines = checked(zones, capsys)
    assert status == 2
    assert [line for line in lines if "warning" in line] == []


def test_many_warnings(zones: Path, capsys: Captured) -> None:
    for name in ("a", "c", "d"):
        text = "".join(f"h{i} MX 1 m{i}\n" for i in range(150))
        (zones / f"{name}.example.zone").write_text(GOOD.format(5) + text)
    status, lines = checked(zones, capsys)
    assert status == 0 and len(lines) == check.WARNINGS + 1
    # 101 of each file; what is left out of a file is said at its end.
    assert lines[100] == f"{zones / 'a.example.zone'}: warning: and 50 more"
    assert (
        lines[-1] == "303 warnings, 200 of them listed: --json has all; it can be served as it is"
    )


def test_what_a_file_says_cannot_write_to_the_terminal(zones: Path, capsys: Captured) -> None:
    (zones / "a.example.zone").write_text(GOOD.format(5) + "@ MX 1 \\027[31m\n")
    _, lines = checked(zones, capsys)
    assert len(lines) == 2 and "\x1b" not in "".join(lines)


def test_a_zone_beside_has_the_address(zones: Path, capsys: Captured) -> None:
    (zones / "a.example.zone").write_text(GOOD.format(5) + "@ MX 5 mail.sub\n")
    assert len(checked(zones, capsys)[1]) == 2
    (zones / "sub.a.example.zone").write_text(GOOD.format(5) + "mail A 192.0.2.3\n")
    assert checked(zones, capsys) == (0, [])


@pytest.mark.parametrize(
    "serial, warned", [(4, True), (5, False), (6, False), ((1 << 31) + 6, True)]
)
def test_a_serial_behind_the_served_one(
    zones: Path, capsys: Captured, serial: int, warned: bool
) -> None:
    cache = zones.parent / "cache"
    anyio.run(load_zones, zones, cache)
    (kept,) = (path for path in cache.rglob("*") if path.is_file())
    before = (kept.read_bytes(), kept.stat().st_mtime_ns)
    (zones / "b.example.zone").write_text(GOOD.format(serial))
    status, lines = checked(zones, capsys)
    assert status == 0
    assert len(lines) == 2 * warned
    if warned:
        place = f"{zones / 'b.example.zone'}:2: warning: "
        assert lines[0].startswith(f"{place}the serial {serial} is behind 5, which is served now")
    assert (kept.read_bytes(), kept.stat().st_mtime_ns) == before, "check changed the cache"


def test_a_cache_that_tells_nothing(zones: Path, capsys: Captured) -> None:
    cache = zones.parent / "cache"
    anyio.run(load_zones, zones, cache)
    (zones / "b.example.zone").write_text(GOOD.format(4))
    name = arena_file.file_name(name_of("/b.example.zone"))
    kept = arena_file.cache_directory(cache, zones) / name
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1])
    assert checked(zones, capsys) == (0, [])
    kept.write_bytes(whole)
    assert len(checked(zones, capsys)[1]) == 2
    kept.unlink()
    assert checked(zones, capsys) == (0, [])


def test_only_check_has_the_compiler_look_for_them(zones: Path) -> None:
    path = zones / "b.example.zone"
    path.write_text(GOOD.format(5) + "@ MX 5 mail\n")
    for options, there in ([], False), (["--warn"], True):
        fd = os.memfd_create("test-zones", os.MFD_CLOEXEC)
        try:
            module = "xdpkit.services.dns.compiler.compile"
            done = subprocess.run(
                [sys.executable, "-P", "-m", module, "--fd", str(fd), *options, str(zones)],
                input=json.dumps(str(path)) + "\n",
                capture_output=True,
                text=True,
                pass_fds=[fd],
                timeout=100,
                check=True,
            )
        finally:
            os.close(fd)
        reports = [json.loads(line) for line in done.stdout.splitlines()]
        (zone,) = (report for report in reports if "zone" in report)
        assert ("warnings" in zone) == there and zone["size"] > 0


def test_labels_of_countries_without_locations(zones: Path, capsys: Captured) -> None:
    data: dict[str, Any] = {"": {"ns": ["ns1.example.net."]}, "www": {"a": [["192.0.2.1", 1]]}}
    path = zones / "c.example.json"
    config = zones.parent / "x.toml"
    config.write_text(config.read_text() + "[dns.geo]\n")
    path.write_text(json.dumps({"targeting": "@ ip country", "data": data}))
    assert checked(zones, capsys) == (0, [])
    data["www.[192.0.2.7]"] = {"a": [["192.0.2.2", 1]]}
    path.write_text(json.dumps({"targeting": "@ ip country", "data": data}))
    assert checked(zones, capsys) == (0, []), "that depends on no database"
    data["www.de"] = data["us"] = {"a": [["192.0.2.3", 1]]}
    path.write_text(json.dumps({"targeting": "@ ip country", "data": data}))
    status, lines = checked(zones, capsys)
    assert status == 0 and len(lines) == 2
    start = f"{path}: warning: labels of countries or other places (de, us), and no geoip or map"
    assert lines[0].startswith(start)
    (zones.parent / "map").write_text("192.0.2.0/24 de\n")
    config.write_text(config.read_text() + 'map = "map"\n')
    assert checked(zones, capsys) == (0, [])


def test_status_files_are_named_once(zones: Path, capsys: Captured) -> None:
    health = zones.parent / "health"
    health.mkdir()
    (health / "h.json").write_text('{"a": 2,\n "x": 3}')
    config = zones.parent / "x.toml"
    config.write_text(config.read_text() + '[dns.geo]\nhealth = "health"\n')
    status, lines = checked(zones, capsys)
    assert status == 0 and len(lines) == 2
    assert lines[0].startswith(f"{health}: warning: h.json:2:7: x: 3 is not within 0 to 2: ")
    assert lines[0].count(str(health)) == 1
