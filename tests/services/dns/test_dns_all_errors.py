"""All that is wrong with the zones is told at once, each thing with file, line and column."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest
from dns_bytes_call import HEAD
from hypothesis import given
from hypothesis import strategies as st

from xdpkit.errors import ZoneError, ZoneErrors
from xdpkit.services.dns.serving.store import compile_zones
from xdpkit.services.dns.zonefile.read import read_zone

MIXED = """\
ok A 192.0.2.1
bad A 192.0.2
many MX (
    ten   ; a comment with ) and "
    mail )
good A 192.0.2.2
text TXT "open
  AAAA 1::2::3
dup CNAME a
dup CNAME b
open TXT ( "never closed"
    "goes on" ; here
last NOTYPE 1
$TTL never
$INCLUDE nothing
$INCLUDE part
end A 192.0.2.3.4"""


def errors(path: Path) -> list[str]:
    with pytest.raises(ZoneError) as caught:
        read_zone(path)
    return [line.removeprefix(f"{path}:") for line in caught.value.lines()]


def test_every_error_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad record is left behind whole, and what follows is read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "part").write_text("fine A 192.0.2.9\n\n  wrong 3600\n")
    path = tmp_path / "z.example.zone"
    path.write_text(HEAD + MIXED)
    found = [line.split(": ")[0] for line in errors(path)]
    lines = ["5:7", "7:5", "10:10", "11:8", "13:1", "14:10", "16:6", "17:6", "18:1", "20:7"]
    assert found == [*lines, "part:3:3"]


def test_no_follow_ups(tmp_path: Path) -> None:
    """What is missing because its line is wrong is told once, as that line."""
    path = tmp_path / "z.example.zone"
    path.write_text("$TTL 60\n@ SOA ns1 host 1 2 3 4\n@ NS ns1\nns1 A 192.0.2.1\n")
    [line] = errors(path)
    assert line.startswith("2:23: the SOA record ends too early")


def test_not_more_than_twenty(tmp_path: Path) -> None:
    path = tmp_path / "z.example.zone"
    path.write_text(HEAD + "".join(f"x{n} A {n}\n" for n in range(25)))
    lines = errors(path)
    assert len(lines) == 21
    assert lines[19].startswith("23:")
    assert lines[20] == " and 5 more errors"


def test_a_file_that_is_none(tmp_path: Path) -> None:
    """An end to it, however many lines there are."""
    path = tmp_path / "z.example.zone"
    path.write_text("lorem ipsum dolor sit amet\n" * 5000)
    assert errors(path)[-1] == " and at least 980 more errors"


def test_latin_1(tmp_path: Path) -> None:
    """A byte is a byte, in a name, too; columns count characters of UTF-8, or else bytes."""
    path = tmp_path / "z.example.zone"
    fine = b'x A 192.0.2.1 ; \xe4\nt TXT \xe4 "\xfc"\nh HINFO "\xfc" x\n'
    wrong = b'y A 1\n\xff\xfe A 192.0.2\n"\xe4" A 1\n' + "ü TXT ü ) \n".encode()
    path.write_bytes(HEAD.encode() + fine + wrong)
    assert [line.split(": ")[0] for line in errors(path)] == ["7:5", "8:6", "9:7", "10:9"]


def test_every_file_of_a_directory(tmp_path: Path) -> None:
    """As the server has them from its compiler."""
    for name, text in (("a", "x A 1\ny A 2\n"), ("b", "x A 192.0.2.1\n"), ("c", "x MX 1\n")):
        (tmp_path / f"{name}.example.zone").write_text(HEAD + text)
    with pytest.raises(ZoneErrors) as caught:
        anyio.run(compile_zones, tmp_path)
    places = [line.removeprefix(f"{tmp_path}/").split(": ")[0] for line in caught.value.lines()]
    assert places == ["a.example.zone:4:5", "a.example.zone:5:5", "c.example.zone:4:7"]
    assert caught.value.exit_code == 2


def test_one_hundred_lines_of_a_file_that_is_checked(tmp_path: Path) -> None:
    (tmp_path / "z.zone").write_text(HEAD + "x A 1\n" * 150)
    with pytest.raises(ZoneErrors) as caught:
        anyio.run(compile_zones, tmp_path)
    lines = caught.value.lines()
    assert len(lines) == 101 and lines[99].startswith(f"{tmp_path}/z.zone:103:5: ")
    assert lines[-1].endswith("and 50 more errors")


def test_one_hundred_lines_of_a_directory(tmp_path: Path) -> None:
    for number in range(120):
        (tmp_path / f"z{number}.zone").write_text(HEAD + "x A 1\ny A 2\n")
    with pytest.raises(ZoneErrors) as caught:
        anyio.run(compile_zones, tmp_path)
    lines = caught.value.lines()
    assert len(lines) == 101
    assert lines[-1].endswith("and 140 more errors")


def test_check_prints_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from xdpkit.cli.main import main

    (tmp_path / "zones").mkdir()
    (tmp_path / "zones" / "z.example.zone").write_text(HEAD + MIXED.replace("$INCLUDE", ";"))
    config = tmp_path / "xdpkit.toml"
    config.write_text('[interface]\nname = "lo"\nqueues = [0]\n[dns]\nzones = "zones"\n')
    assert main(["check", "-c", str(config)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 9
    assert all(line.startswith(f"xdpkit: {tmp_path}/zones/z.example.zone:") for line in lines)


WORDS = st.sampled_from(
    [
        *("x", "A", "MX", "TXT", "10", "192.0.2.1", "(", ")", '"', '"a b"', "\\", "\\1", ";", "\n"),
        *("\t", "$TTL", "$ORIGIN", "$INCLUDE", "$GENERATE", "1-3", "IN", "CH", "a..b", "é", "\r\n"),
        *("\0", "@"),
    ]
)


@given(st.lists(WORDS, max_size=30))
def test_any_text_ends(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    """Either it is a zone, or there are errors, with lines that exist; nothing else happens."""
    path = tmp_path_factory.mktemp("any") / "z.example.zone"
    text = HEAD + " ".join(words)
    path.write_text(text, newline="")
    try:
        read_zone(path)
    except ZoneError as error:
        for each in error.errors or [error]:
            json.dumps(each.location())
            if each.line is not None:
                assert 1 <= each.line <= text.count("\n") + text.count("\r") + 2
                assert each.column is not None and each.column >= 1
