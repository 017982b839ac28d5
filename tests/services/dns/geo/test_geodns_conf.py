"""geodns.conf, turned into configuration of ours."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from xdpkit.config.dns import DnsConfig
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


def uncommented(text: str) -> str:
    """The settings that this version does not have yet, too."""
    lines = []
    for line in text.splitlines():
        setting = line.removeprefix("# ")
        if "not in this version" in line or setting == "[dns.geo]":
            line = setting
        lines.append(line)
    return "\n".join(lines)


def test_every_setting(tmp_path: Path) -> None:
    text = imported(tmp_path, SAMPLE)
    found = tomllib.loads(uncommented(text))
    assert found["dns"]["zones"] == str(tmp_path)
    assert found["dns"]["geoip"] == "/usr/share/GeoIP/"
    assert found["dns"]["geo"] == {"health": "dns/he alth", "public_debug": True}
    assert "eoth4" not in text, "a password is not printed"
    for dropped in ("[querylog] path (line 5)", "[http] user (line 8)", "[http] password (line 9)"):
        assert f"# {dropped}: " in text
    assert text.count(" (line ") == 3, "nothing else is without a counterpart"


def test_it_is_a_configuration_of_this_version(tmp_path: Path) -> None:
    """Whatever [dns] does not have yet is a comment."""
    keys = tomllib.loads(imported(tmp_path, SAMPLE))["dns"].keys()
    assert keys <= DnsConfig.__dataclass_fields__.keys()


def test_an_empty_one(tmp_path: Path) -> None:
    assert "geo" not in tomllib.loads(uncommented(imported(tmp_path, ""))).get("dns", {}).get(
        "geo", {}
    )


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
        found = tomllib.loads(uncommented(imported(tmp_path, text)))
        assert found["dns"]["geo"]["health"] == value
