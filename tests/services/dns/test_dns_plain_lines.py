"""We read plain lines exactly like dnspython, in any context."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xdpkit.errors import ZoneError
from xdpkit.services.dns.zonefile import records
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.zone import Zone

HEAD = "@ SOA ns hostmaster 1 7200 3600 1209600 60\n@ NS ns\n"

labels = st.sampled_from(
    ["a", "B", "x-1", "_tcp", "*", "1", "a" * 63, "a" * 64, "xn--bcher-kva", "", "IN", "A", "3"]
)
names = st.one_of(
    st.sampled_from(["@", ".", "z.example.", "..", "a..b", "other.test.", "", r"a\.b", '"q"', "é"]),
    st.lists(labels, min_size=1, max_size=5).map(".".join),
    st.lists(labels, min_size=1, max_size=3).map(lambda parts: ".".join(parts) + ".z.example."),
)
addresses = st.sampled_from(
    [
        *("192.0.2.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "A", "::", "::1", "::FFFF"),
        *("2001:db8::1", "1:2:3:4:5:6:7::", "::ffff:1.2.3.4", "1::2::3", "12345::1", "fe80::1%e"),
        "1:2:3:4:5:6:7:8",
    ]
)
blanks = st.sampled_from([" ", "\t", "  \t", " \x0b"])
ttls = st.sampled_from(["", "5", "0", "1h", "2147483647", "2147483648", "4294967296"])
ends = st.sampled_from(["", " ", " ; note", ";note", " (", ") ", " \r", " extra"])


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A record, a directive, or something that is almost one."""
    if draw(st.integers(0, 9)) == 0:
        return draw(
            st.sampled_from(
                [
                    "$TTL 77",
                    "$ORIGIN sub",
                    "$ORIGIN Z.example.",
                    "; a comment",
                    "",
                    "   ",
                    'x TXT "a\nb"',
                    "x MX 5 ( mail\n ) ; over lines",
                    "$GENERATE 1-3 g$ A 192.0.2.$",
                ]
            )
        )
    kind = draw(st.sampled_from(["A", "a", "AAAA", "NS", "CNAME", "PTR", "TXT", "MX", "TYPE1"]))
    parts = [
        draw(names),
        draw(ttls),
        draw(st.sampled_from(["", "IN", "in", "CH", "IN 9"])),
        kind,
        draw(addresses if kind in ("A", "a", "AAAA") else names),
    ]
    return draw(blanks).join(part for index, part in enumerate(parts) if part or not index) + draw(
        ends
    )


def meaning(path: Path) -> object:
    """Everything that the compiler takes from a file, or where and why it is refused."""
    try:
        zone: Zone = read_zone(path)
    except ZoneError as error:
        return str(error)
    return zone.names, zone.nodes


@settings(max_examples=300)
@given(st.sampled_from(["", "$TTL 300\n"]), st.lists(lines(), max_size=8))
def test_the_same_without_plain_lines(
    tmp_path_factory: pytest.TempPathFactory, first: str, written: list[str]
) -> None:
    path = tmp_path_factory.mktemp("zone") / "z.example.zone"
    path.write_text(first + HEAD + "\n".join(written), newline="")
    ours = meaning(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "parse_plain_line", lambda _: None)
        assert meaning(path) == ours


@pytest.mark.parametrize(
    "line, taken",
    [
        ("www 300 IN A 192.0.2.1\n", True),
        ("\t AAAA 2001:db8::1 ; note\n", True),
        ("@ NS ns.other.test.\n", True),
        ("*.w CNAME web", True),
        ("www 300 A 192.0.2.1 (\n", False),
        ('www TXT "x"\n', False),
        ("www IN 300 A 192.0.2.1\n", False),
        (r"w\119w A 192.0.2.1", False),
        ("$TTL 300\n", False),
        ("\n", False),
        ("", False),
    ],
)
def test_what_is_plain(line: str, taken: bool) -> None:
    assert (records.parse_plain_line(line) is not None) == taken


def test_errors_name_the_line_of_a_plain_record(tmp_path: Path) -> None:
    path = tmp_path / "z.example.zone"
    path.write_text(f"$TTL 300\n{HEAD}a A 192.0.2.1\nb CNAME a\nb A 192.0.2.1\nc A 192.0.2.1\n")
    with pytest.raises(ZoneError, match="a CNAME and other data") as caught:
        read_zone(path)
    assert str(caught.value).startswith(f"{path}:6:1: ")
