"""geodns.conf, turned into configuration of ours."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from xdpkit import config
from xdpkit.errors import ConfigError
from xdpkit.services.dns.geo.geodns_conf import import_geodns_conf

SAMPLE = """\
; GeoDNS configuration file
[GeoIP]
directory=/usr/share/GeoIP/   ; where they are
[querylog]
path = log/queries.log
; maxsize = 100
[http]
user = stats
password = "Aete; \\"eoth4"
[health]
directory = "dns/he" alth # both
[dns]
PublicDebugQueries
"""


def imported(directory: Path, text: str) -> str:
    path = directory / "geodns.conf"
    path.write_text(text)
    return import_geodns_conf(path)


def test_every_setting(tmp_path: Path) -> None:
    text = imported(tmp_path, SAMPLE)
    found = tomllib.loads(text)
    assert found["dns"]["zones"] == str(tmp_path)
    assert found["dns"]["geoip"] == "/usr/share/GeoIP/"
    assert found["dns"]["geo"] == {"health": "dns/he alth", "public_debug": True}
    assert "eoth4" not in text, "a password is not printed"
    for dropped in ("[querylog] path (line 5)", "[http] user (line 8)", "[http] password (line 9)"):
        assert f"# {dropped}: " in text
    assert text.count(" (line ") == 3, "nothing else is without a counterpart"


def test_it_is_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "xdpkit.toml"
    path.write_text(imported(tmp_path, SAMPLE))
    dns = config.load(path).dns
    assert dns is not None and dns.geoip == Path("/usr/share/GeoIP")
    assert dns.geo is not None and dns.geo.public_debug


def test_an_empty_one(tmp_path: Path) -> None:
    assert tomllib.loads(imported(tmp_path, ""))["dns"]["geo"] == {}


def test_databases_that_geodns_finds_by_itself(tmp_path: Path) -> None:
    path, first, second = tmp_path / "geodns.conf", tmp_path / "first", tmp_path / "second"
    first.mkdir()
    path.write_text("[geoip]\n;directory=/usr/share/GeoIP/\n")
    text = import_geodns_conf(path, (first, second))
    assert "geoip" not in tomllib.loads(text)["dns"]
    [line] = [line for line in text.splitlines() if line.startswith("# geoip = ")]
    assert f"none are in {first}, {second}, where GeoDNS looks" in line
    second.mkdir()
    (second / "GeoLite2-Country.mmdb").touch()
    made = tomllib.loads(import_geodns_conf(path, (first, second)))
    assert made["dns"]["geoip"] == str(second)
    path.write_text("[geoip]\ndirectory = /else\n")
    assert tomllib.loads(import_geodns_conf(path, (first, second)))["dns"]["geoip"] == "/else"


@pytest.mark.parametrize(
    "text, place, words",
    [
        ("[geo ip\n", "1:1", '"[geo ip" is not a section: write [NAME]'),
        ("\n  [geoipp]\n  x = 1\n", "2:3", 'unknown section [geoipp]: did you mean "geoip"?'),
        ("[geoip]\ndirectoryy = x\n", "2:1", 'unknown key "directoryy" in [geoip]: did you mean'),
        ("x = 1\n", "1:1", '"x" is in no section'),
        ('[http]\n\tuser = "a\n', "2:2", 'user: a quote (") that is not closed'),
        ("[http]\nuser = a\\\n", "2:1", "a lone backslash"),
        ("[http]\n= a\n", "2:1", '"= a" is not a setting: write KEY = VALUE'),
        ("[http]\nuser name\n", "2:1", '"user name" is not a setting'),
        ("[dns]\npublicdebugqueries = maybe\n", "2:1", '"maybe" is no boolean: write true or yes'),
    ],
)
def test_errors(tmp_path: Path, text: str, place: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        imported(tmp_path, text)
    [line] = caught.value.lines()
    assert line.startswith(f"{tmp_path / 'geodns.conf'}:{place}: ") and words in line


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "xdpkit", "check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_verb(tmp_path: Path) -> None:
    path = tmp_path / "geodns.conf"
    path.write_text(SAMPLE)
    done = run("--import", str(path))
    assert (done.returncode, done.stdout, done.stderr) == (0, import_geodns_conf(path), "")
    path.write_text("x\n[dns]\ny\n")
    done = run("--import", str(path))
    assert done.returncode == 2 and done.stdout == ""
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [
        f"{path}:1:1",
        f"{path}:3:1",
    ]
    assert run("--import", str(path), "--json").returncode == 2
    assert run("--import", str(tmp_path / "gone")).returncode == 2


def test_what_is_in_it_stays_a_string(tmp_path: Path) -> None:
    for value in ('a"b', "a\\b", "a\x7f\u202e", "]\n"):
        text = f"[health]\ndirectory = {json.dumps(value, ensure_ascii=False)}\n"
        found = tomllib.loads(imported(tmp_path, text))
        assert found["dns"]["geo"]["health"] == value
