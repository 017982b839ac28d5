"""JSON zones that cannot be served: refused with line and column, what was found, and the fix."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from geo_zones import errors, warnings, write, zone_of

from xdpkit.errors import ZoneError
from xdpkit.services.dns.geo.health import read_status
from xdpkit.services.dns.geo.zone_json import read_json_zone
from xdpkit.services.dns.zonefile.sources import Reading
from xdpkit.services.dns.zonefile.zone_name import json_zone_name

# The text, and of each error its place and words in it.
BAD: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "no object": ("[]", [("1:1", "an array: a zone is an object")]),
    "no comma": ('{"ttl": 1\n "serial": 2}', [("2:2", '"serial" where a comma')]),
    "trailing comma": (
        '{"ttl": 1,\n}',
        [("1:10", "a comma before }: remove it, or set [dns.geo] relaxed")],
    ),
    "trailing comma in a list": ('{"a": [1, ]}', [("1:9", "a comma before ]: remove it")]),
    "no colon": ('{"ttl" 1}', [("1:8", '"1" where a colon belongs')]),
    "no quotes": ("{ttl: 1}", [("1:2", '"ttl" where a key belongs: write it in double quotes')]),
    "no value": ('{"ttl": }', [("1:9", '"}" where a value belongs')]),
    "open quote": ('{"ttl\n: 1}', [("1:6", "a control character in a string")]),
    "open quote at the end": ('{"ttl', [("1:2", "a string that is not closed")]),
    "open brace": ('{"data": {', [("1:11", "the end of the file where a key belongs")]),
    "escape": ('{"contact": "a\\x"}', [("1:15", "an invalid escape")]),
    "two documents": ("{}\n{}", [("2:1", '"{" after the end of the document')]),
    "a comment": (
        "{ # x\n}",
        [("1:3", "a comment: JSON has none: remove it, or set [dns.geo] relaxed")],
    ),
    "a comment of C": ("{ // x\n}", [("1:3", "a comment: JSON has none: remove it")]),
    "empty": (" \n", [("1:1", "the file is empty: write a zone, {} at least")]),
    "key without quotes": ("{ttl: 1}", [("1:2", 'write it in double quotes, as in "ttl"')]),
    "byte order mark": ("\ufeff{}", [("1:1", "a byte order mark")]),
    "NaN": ('{"ttl": NaN}', [("1:9", "NaN is not a number")]),
    "endless number": (f'{{"ttl": {"1" * 5000}}}', [("1:9", "a number of 5000 digits")]),
    "deep": (f'{{"x": {"[" * 5000}', [("1:70", "nested more than 64 deep")]),
    "a key twice": (
        '{"ttl": 1,\n"data": {"a": {}, "b": {},\n"a": {"txt": "t"}}, "ttl": 2}',
        [("3:1", '"a" is a second time in the same object (first in line 2)'), ("3:21", '"ttl"')],
    ),
    "ttl": ('{"ttl": "x"}', [("1:9", 'ttl: "x", a string: write a whole number')]),
    "ttl of a half": ('{"ttl": 1.5}', [("1:9", "1.5, a number: write a whole number")]),
    "ttl as a boolean": ('{"ttl": true}', [("1:9", "true, a boolean")]),
    "negative ttl": ('{"ttl": -1}', [("1:9", "ttl: -1 is not within 0 to 2147483647")]),
    "large ttl": ('{"ttl": 2147483648}', [("1:9", "is not within 0 to 2147483647")]),
    "serial": ('{"serial": 4294967296}', [("1:12", "is not within 0 to 4294967295")]),
    "max_hosts": ('{"max_hosts": 0}', [("1:15", "is not within 1 to 255")]),
    "too many hosts": (
        '{"max_hosts":\n "256"}',
        [("2:2", "is not within 1 to 255")],
    ),
    "closest": ('{"closest": 1}', [("1:13", "closest: 1, a number: write true or false")]),
    "closest as text": ('{"closest": "true"}', [("1:13", "write true or false")]),
    "contact": ('{"contact": 1}', [("1:13", "contact: 1, a number: write a name")]),
    "contact with two dots": ('{"contact": "a..b"}', [("1:13", '"a..b" has an empty label')]),
    "targeting": ('{"targeting": "@ city"}', [("1:15", '"city" is no kind of target: write')]),
    "no targeting": ('{"targeting": ""}', [("1:15", "targeting: an empty word")]),
    "two blanks": ('{"targeting": "@  ip"}', [("1:15", "with one space between them")]),
    "targeting in a list": ('{"targeting": ["@"]}', [("1:15", "targeting: an array: write words")]),
    "data": ('{"data": []}', [("1:10", "data: an array: write an object of labels")]),
    "logging": ('{"logging": 1}', [("1:13", "logging: 1, a number: write an object")]),
    "label": ('{"data": {"x": []}}', [("1:16", 'the label "x": an array: write an object')]),
    "label of null": ('{"data": {"x": null}}', [("1:16", 'the label "x": null')]),
    "label of 64": (f'{{"data": {{"{"a" * 64}": {{}}}}}}', [("1:11", "more than 63 bytes")]),
    "name of 256": (f'{{"data": {{"{"a." * 124}a": {{}}}}}}', [("1:11", "more than 255 bytes")]),
    "label with two dots": ('{"data": {"a..b": {}}}', [("1:11", "has an empty label")]),
    "label with a final dot": ('{"data": {"a.": {}}}', [("1:11", "remove the dot")]),
    "label twice in two cases": (
        '{"data": {"www": {},\n "WWW": {}}}',
        [("2:2", 'the label "WWW" is the same name as "www"')],
    ),
    "label's ttl": ('{"data": {"x": {"ttl": []}}}', [("1:24", "ttl: an array")]),
    "too many hosts of a label": (
        '{"data": {"x": {"max_hosts": 256}}}',
        [("1:30", "is not within 1 to 255")],
    ),
    "label's max_hosts": ('{"data": {"x": {"max_hosts": "no"}}}', [("1:30", 'max_hosts: "no"')]),
    "label's closest": ('{"data": {"x": {"closest": "no"}}}', [("1:28", "closest:")]),
    "label's health": ('{"data": {"x": {"health": "../x"}}}', [("1:27", 'write {"file": "NAME"}')]),
    "label's health in a directory": (
        '{"data": {"x": {"health": {"file": "a/b"}}}}',
        [("1:27", 'health: "a/b", a string: write {"file": "NAME"}')],
    ),
    "record's health": (
        '{"data": {"x": {"a": [{"ip": "192.0.2.1", "health": 1}]}}}',
        [("1:53", "health: 1, a number: write FILE/KEY")],
    ),
    "bare address": (
        '{"data": {"x": {"a": "192.0.2.1"}}}',
        [("1:22", 'a: "192.0.2.1", a string: write [["192.0.2.1", WEIGHT], ...]')],
    ),
    "list of bare addresses": ('{"data": {"x": {"a": ["192.0.2.1"]}}}', [("1:23", "write [[")]),
    "bad address": (
        '{"data": {"x": {"a": [["192.0.2.1"],\n ["192.0.2"]]}}}',
        [("2:3", '"192.0.2" is not an IPv4 address')],
    ),
    "wrong family": ('{"data": {"x": {"a": [["::1"]]}}}', [("1:24", "is not an IPv4 address")]),
    "other family": (
        '{"data": {"x": {"aaaa": [{"ip": "192.0.2.1"}]}}}',
        [("1:33", "is not an IPv6 address")],
    ),
    "scope": ('{"data": {"x": {"aaaa": [["fe80::1%eth0"]]}}}', [("1:27", "not an IPv6 address")]),
    "address of no string": ('{"data": {"x": {"a": [[1]]}}}', [("1:24", "a: 1, a number")]),
    "three values": ('{"data": {"x": {"a": [["192.0.2.1", 1, 2]]}}}', [("1:23", "a: an array")]),
    "no address": (
        '{"data": {"x": {"a": [{"weight": 1}]}}}',
        [("1:23", 'a: "ip" is missing: write [["192.0.2.1", WEIGHT], ...]')],
    ),
    "weight": (
        '{"data": {"x": {"a": [["192.0.2.1", "b"]]}}}',
        [("1:37", 'weight: "b", a string: write a whole number')],
    ),
    "negative weight": (
        '{"data": {"x": {"a": [["192.0.2.1", -1]]}}}',
        [("1:37", "weight: -1 is not within 0 to 4294967295: write a number that is")],
    ),
    "large weight": (
        '{"data": {"x": {"a": [{"ip": "192.0.2.1", "weight": "4294967296"}]}}}',
        [("1:53", "is not within 0 to 4294967295")],
    ),
    "cname": ('{"data": {"x": {"cname": 1}}}', [("1:26", 'cname: 1, a number: write "name"')]),
    "cname of an object": (
        '{"data": {"x": {"cname": {}}}}',
        [("1:26", "cname: an object")],
    ),
    "cname without cname": (
        '{"data": {"x": {"cname": [{"weight": 1}]}}}',
        [("1:27", 'cname: "cname" is missing: write "name"')],
    ),
    "empty cname": ('{"data": {"x": {"cname": ""}}}', [("1:26", '"" is empty: write a name')]),
    "mx of text": ('{"data": {"x": {"mx": "a."}}}', [("1:23", 'mx: "a.", a string: write [{"mx"')]),
    "mx without mx": (
        '{"data":\n{"x": {"mx": [{"preference": 10}]}}}',
        [("2:15", 'mx: "mx" is missing: write [{"mx": "mail.example.net."')],
    ),
    "mx of null": ('{"data": {"x": {"mx": [{"mx": null}]}}}', [("1:31", 'mx: "mx" is missing')]),
    "srv without target": (
        '{"data":\n{"x": {"srv": [{"port": 1}, {"port": 2}]}}}',
        [("2:16", 'srv: "target" is missing: write [{"tar'), ("2:29", '"target" is missing')],
    ),
    "preference": (
        '{"data": {"x": {"mx": [{"mx": "a", "preference": 65536}]}}}',
        [("1:50", "preference: 65536 is not within 0 to 65535")],
    ),
    "ns": ('{"data": {"x": {"ns": [1]}}}', [("1:24", "ns: 1, a number")]),
    "txt": ('{"data": {"x": {"txt": [1]}}}', [("1:25", "txt: 1, a number")]),
    "txt with a weight in a list": (
        '{"data": {"x": {"txt": [["text", 10]]}}}',
        [("1:25", "txt: an array: write")],
    ),
    "txt's escape": ('{"data": {"x": {"txt": "a\\\\999"}}}', [("1:24", "has an invalid escape")]),
    "half a character": ('{"data": {"x": {"txt": "\\ud800"}}}', [("1:24", "surrogate pair")]),
    "srv": ('{"data": {"x": {"srv": [{"target": 1}]}}}', [("1:36", "srv: 1, a number")]),
    "port": (
        '{"data": {"x": {"srv": [{"target": "a", "port": "http"}]}}}',
        [("1:49", 'port: "http", a string: write a whole number')],
    ),
    "caa": (
        '{"data": {"x": {"caa": "0 issue"}}}',
        [("1:24", 'caa: "0 issue" is wrong (expecting a string): write FLAGS TAG VALUE')],
    ),
    "caa without a tag": (
        '{"data": {"x": {"caa": [{"value": "a"}]}}}',
        [("1:25", "caa: tag: missing: write an object with flags, tag, value, or a text")],
    ),
    "tlsa": ('{"data": {"x": {"tlsa": "3 1 1 abc"}}}', [("1:25", "tlsa:")]),
    "https": ('{"data": {"x": {"https": "1 . alpn"}}}', [("1:26", "https:")]),
    "ds at the apex": (
        '{"data": {"": {"ds": "1 8 2 ' + "ab" * 32 + '"}}}',
        [("1:22", "it belongs in the zone above")],
    ),
    "delegated wildcard": ('{"data": {"*.x": {"ns": ["a."]}}}', [("1:25", "cannot be delegated")]),
    "alias": ('{"data": {"x": {"alias": 1}}}', [("1:26", 'alias: 1, a number: write "label"')]),
    "alias's weight": (
        '{"data": {"a": {}, "x": {"alias": [["a", -1]]}}}',
        [("1:42", "weight: -1 is not within")],
    ),
    "absolute alias": ('{"data": {"x": {"alias": "a.test."}}}', [("1:26", "remove the dot")]),
    "alias of itself": (
        '{"data": {"x": {"alias": "x"}}}',
        [("1:26", 'aliases that lead in a circle: "x" -> "x"')],
    ),
    "circle": (
        '{"data": {"a": {"alias": "b"},\n"b": {"alias": [["x", 1], ["c", 2]]},\n'
        '"x": {}, "c": {"alias": "A"}}}',
        [("1:26", 'in a circle: "a" -> "b" -> "c" -> "a": point one of them elsewhere')],
    ),
    "circle for one country": (
        '{"data": {"a.de": {"alias": "b"}, "b.europe": {"alias": "a"}}}',
        [("1:57", '"b" -> "a" -> "b"')],
    ),
    "too many aliases in a row": (
        '{"data": {'
        + ", ".join(f'"{i}": {{"alias": "{i + 1}"}}' for i in range(17))
        + ', "17": {}}}',
        [("1:26", "17 aliases in a row, at most 16")],
    ),
    "several": (
        '{"ttl": -1, "data": {"x": {"a": [["1"], ["2"]]},\n"y": 1}}',
        [("1:9", "ttl"), ("1:35", '"1"'), ("1:42", '"2"'), ("2:6", 'the label "y"')],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_and_where(tmp_path: Path, case: str) -> None:
    text, expected = BAD[case]
    lines = errors(tmp_path, text)
    assert [line.split(" ")[0].rstrip(":") for line in lines] == [place for place, _ in expected]
    for line, (_, words) in zip(lines, expected, strict=True):
        assert words in line


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "1:1: the file is empty: write an object, {} at least"),
        ("{a: 1}", '1:2: "a" where a key belongs: write it in double quotes, as in "KEY"'),
        ("{ # x\n}", "1:3: a comment: JSON has none: remove it"),
        ('{"a": 1,}', "1:8: a comma before }: remove it"),
    ],
)
def test_a_status_file_is_no_zone(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "f.json"
    path.write_text(text)
    with pytest.raises(ZoneError) as caught:
        read_status(path)
    assert caught.value.lines() == [f"{path}:{words}"]


def test_relaxed_takes_comments_and_trailing_commas_where_they_are_none(tmp_path: Path) -> None:
    text = """{ # a comment, with "quotes
      "data": { "x": { "txt": ["a # b,]", "c,}",], "a": [["192.0.2.1", 1,], # ]
      ], }, },
    }"""
    zone = read_json_zone(write(tmp_path, text), relax=True)
    assert len(zone.labels["x"].records[16]) == 2 and len(zone.labels["x"].records[1]) == 1
    assert errors(tmp_path, text)[0].startswith("1:3: a comment")
    assert errors(tmp_path, text.replace("192.0.2.1", "192.0.2"), True)[0].startswith("2:59: ")
    assert errors(tmp_path, "{,,}", True)[0].startswith("1:2: ")


@pytest.mark.parametrize("mark", ['"', "#", ",", '"\\"', "[", "{", ",]", "# \n", "\\", '"a":'])
@pytest.mark.parametrize("relax", [False, True])
def test_a_file_of_one_thing_over_and_over_is_read_in_one_pass(
    tmp_path: Path, mark: str, relax: bool
) -> None:
    # Time by the square would be hours.
    assert errors(tmp_path, "{" + mark * (1_000_000 // len(mark)), relax)


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    assert errors(tmp_path, b'{"ttl": 1,\n "\xff": 1}') == [
        "2:3: not UTF-8: byte 0xff; save the file as UTF-8"
    ]


def test_lines_end_as_they_may(tmp_path: Path) -> None:
    assert errors(tmp_path, b'{"ttl": 1,\r\n"serial":\r\n"x"}')[0].startswith("3:1: ")


def test_what_is_in_the_file_cannot_forge_a_line(tmp_path: Path) -> None:
    [line] = errors(tmp_path, '{"contact": "a\\nb..\\u001b[31m\\u202e"}')
    assert line.isprintable()


def test_no_more_than_twenty_lines_of_one_file(tmp_path: Path) -> None:
    labels = {f"x{i}": {"a": [["bad"]]} for i in range(3000)}
    lines = errors(tmp_path, {"data": labels})
    assert len(lines) == 21 and "more errors" in lines[-1]


# Labels, and a warning about them.
DOUBTFUL: dict[str, tuple[dict[str, object], str]] = {
    "unknown type": ({"x": {"aaa": []}}, 'unknown key "aaa" is left out: did you mean "aaaa"?'),
    "alias of nothing": ({"x": {"alias": "y"}}, 'no label "y", so it is passed over'),
    "at": ({"@": {}}, 'the label "@" is a name of its own: write ""'),
    "address without ip": ({"[192.0.2.1]": {}}, 'add "ip" to "targeting"'),
    "cname and more": ({"x": {"cname": "a.", "txt": "t"}}, "it hides the other records"),
    "cname at the apex": ({"": {"cname": "a."}}, "it hides everything else"),
    "below a delegation": ({"s": {"ns": "a."}, "w.s": {"txt": "t"}}, 'the delegation of "s"'),
    "at a delegation": ({"s": {"ns": "a.", "mx": {"mx": "a."}}}, "hidden by the delegation"),
    "ns of a target": ({"de": {"ns": "a."}}, "answered and not delegated"),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_what_is_served_but_may_not_be_meant(tmp_path: Path, case: str) -> None:
    labels, words = DOUBTFUL[case]
    zone = zone_of(tmp_path, labels)
    [line] = warnings(zone)
    assert words in line
    assert re.match(r":?\d+:\d+: ", zone.warnings[-1].removeprefix(f"{zone.path}:"))


def test_a_circle_that_no_client_can_walk_is_none(tmp_path: Path) -> None:
    labels: dict[str, dict[str, str]] = {"a.us": {"alias": "b"}, "b.europe": {"alias": "a"}}
    assert zone_of(tmp_path, labels)
    labels = {"a.us-ca": {"alias": "b"}, "b.us-ny": {"alias": "a"}}
    assert zone_of(tmp_path, labels, targeting="region country @")
    labels["b.us"] = {"alias": "a"}
    assert errors(tmp_path, {"data": labels, "targeting": "region country @"})


def test_the_pools_aliases_are_no_circle(tmp_path: Path) -> None:
    labels = {"": {}, "gb": {"alias": "uk"}, "uk": {}, "v": {"alias": ""}, "0.v": {"alias": "0"}}
    assert zone_of(tmp_path, {**labels, "0": {}})


def test_more_than_a_message_holds(tmp_path: Path) -> None:
    many = [{"txt": f"{i:04}{'y' * 250}"} for i in range(250)]
    [line] = errors(tmp_path, {"data": {"x": {"txt": many}}})
    assert "64 KiB" in line
    drawn = [{**each, "weight": 1} for each in many]
    assert zone_of(tmp_path, {"x": {"txt": drawn}}), "at most two of them are answered"
    assert errors(tmp_path, {"data": {"x": {"txt": drawn, "max_hosts": 250}}})


def test_files_that_are_none(tmp_path: Path) -> None:
    for name, make in (("FIFO", os.mkfifo), ("directory", os.mkdir)):
        path = tmp_path / f"{name}.json"
        make(path)
        with pytest.raises(ZoneError, match=f"it is a {name}"):
            read_json_zone(path)
    with pytest.raises(ZoneError, match="cannot be read: No such file"):
        read_json_zone(tmp_path / "gone.json")
    assert threading.active_count() == 1


def test_a_file_above_max_zone_bytes_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path, '{"x": "' + "y" * 1000 + '"}')
    with pytest.raises(ZoneError, match="raise max_zone_bytes"):
        read_json_zone(path, reading=Reading(max_bytes=1000))


def test_a_file_whose_writer_may_not_read_what_it_leads_to(tmp_path: Path) -> None:
    """Its errors would show root's files to whoever can write the zone's directory."""
    if os.geteuid():
        pytest.skip("needs root: another user's directory")
    for above in tmp_path.parents:
        if above.stat().st_mode & 0o5 != 0o5 and str(above).startswith("/tmp/"):
            above.chmod(0o755)
    tmp_path.chmod(0o755)
    (tmp_path / "secret").write_text("root:$6$hash")
    (tmp_path / "secret").chmod(0o600)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "z.example.json").symlink_to(tmp_path / "secret")
    os.chown(theirs, 65534, 65534)
    with pytest.raises(ZoneError, match="may not read it") as caught:
        read_json_zone(theirs / "z.example.json")
    assert "hash" not in str(caught.value)


@pytest.mark.parametrize("name", ["a..b.json", f"{'a' * 64}.json", "*.example.json"])
def test_names_that_are_no_zones(name: str) -> None:
    with pytest.raises(ZoneError) as caught:
        json_zone_name(Path(name))
    assert str(caught.value).startswith(f"{name}: ")


def test_reading_takes_no_time_by_the_square(tmp_path: Path) -> None:
    """Ten thousand aliases in a ring of circles that only differ by country."""
    labels = {f"{i}.{'de' if i % 2 else 'us'}": {"alias": str((i + 1) % 9999)} for i in range(9999)}
    path = write(tmp_path, {"data": labels})
    program = (
        "import sys; from pathlib import Path\n"
        "from xdpkit.services.dns.geo.zone_json import read_json_zone\n"
        f"read_json_zone(Path({str(path)!r}))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], timeout=60, check=False)
    assert done.returncode in (0, 1)
