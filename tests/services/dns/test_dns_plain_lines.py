"""We read plain records exactly like dnspython, in any context.

What only the peers load, dnspython does not: test_dns_as_the_peers.py.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import cast

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.tokenizer
import dns.zonefile
import pytest
from dns.transaction import Transaction
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xdpkit._core._master_file import MasterFile, RecordReader
from xdpkit._core._rrset import RRset
from xdpkit.errors import ZoneError
from xdpkit.services.dns.zonefile import records
from xdpkit.services.dns.zonefile.lines import as_text
from xdpkit.services.dns.zonefile.master_file import STATED_BEFORE_MINIMUM
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.records import TTL_MAX
from xdpkit.services.dns.zonefile.zone import Zone

HEAD = "@ SOA ns hostmaster 1 7200 3600 1209600 60\n@ NS ns\n"

labels = st.sampled_from(
    ["a", "B", "x-1", "_tcp", "*", "1", "a" * 63, "a" * 64, "xn--bcher-kva", "", "IN", "A", "3"]
)
names = st.one_of(
    st.sampled_from(["@", ".", "z.example.", "..", "a..b", "other.test.", "", r"a\.b", "é"]),
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
numbers = st.sampled_from(
    [
        "0",
        "1",
        "007",
        "255",
        "256",
        "65535",
        "65536",
        "4294967295",
        "4294967296",
        "2147483648",
        "1h",
        "-1",
        "+1",
        "1.5",
        "ten",
        "\u0661",
        "1_0",
    ]
)
texts = st.sampled_from(
    [
        "a",
        "v=spf1",
        "-all",
        '"a b"',
        '""',
        '"a;b"',
        '"(x)"',
        '"a""b"',
        'a"b"',
        '"a"b',
        '"a\tb"',
        "x" * 255,
        "x" * 256,
        f'"{"x" * 255}"',
        f'"{"x" * 256}"',
        '"é"',
        "é",
        r"a\b",
        '"a\\"b"',
        "@",
        '"',
        "[]",
        "{}^~`|",
        "$x",
        "a,b",
        "a:b",
        "'a b'",
        "\x7f",
        "=",
        "\\#",
    ]
)
types = st.sampled_from(["A", "NS", "a", "RRSIG", "TYPE1", "TYPE65280", "TYPE0", "ANY", "CAA", "X"])
hashes = st.sampled_from(["0" * 32, "Vv" * 16, "w" * 32, "0" * 31, "0" * 30 + "1=", "0" * 40])
codes = st.sampled_from(
    [
        "AwEAAQ==",
        "AwEAAQ",
        "AwEA",
        "AwEAAQ=",
        "A",
        "=",
        "Aw EA",
        "AwE A",
        "AwEAAR==",
        "a_-b",
        "AA=A",
    ]
)
digits = st.sampled_from(["ab" * 20, "AB" * 32, "aB" * 48, "ab" * 19, "a", "-", "zz", "ab " * 20])
times = st.sampled_from(
    [
        "20300101000000",
        "1",
        "4294967295",
        "4294967296",
        "20301301000000",
        "203001010000",
        "0",
        "19690101000000",
        "21070101000000",
        "99991231235959",
        "20300230000000",
    ]
)

DATA = {
    "A": (addresses,),
    "a": (addresses,),
    "AAAA": (addresses,),
    "NS": (names,),
    "CNAME": (names,),
    "DNAME": (names,),
    "PTR": (names,),
    "MX": (numbers, names),
    "SRV": (numbers, numbers, numbers, names),
    "SOA": (names, names, numbers, numbers, numbers, numbers, numbers),
    "TXT": (texts, texts, texts),
    "txt": (texts,),
    "DNSKEY": (numbers, numbers, numbers, codes),
    "RRSIG": (types, numbers, numbers, numbers, times, times, numbers, names, codes),
    "NSEC": (names, types, types),
    "NSEC3": (numbers, numbers, numbers, digits, hashes, types, types),
    "NSEC3PARAM": (numbers, numbers, numbers, digits),
    "TYPE1": (addresses,),
    "CAA": (numbers, texts, texts),
}
"""What dnspython and we must agree on, right and wrong."""

# Most fields are right: else a record of nine fields would always be wrong.
RIGHT = {
    "RRSIG": [
        "A",
        "8",
        "2",
        "300",
        "20300101000000",
        "20200101000000",
        "7",
        "Z.example.",
        "AwEAAQ==",
    ],
    "NSEC3": f"1 0 0 - {'Vv' * 16} A RRSIG".split(),
    "NSEC3PARAM": ["1", "0", "0", "abcd"],
    "SOA": ["ns", "host", "1", "2", "3", "4", "5"],
    "DNSKEY": ["257", "3", "8", "AwEAAQ=="],
    "SRV": ["0", "0", "5060", "sip"],
    "MX": ["10", "mail"],
}

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
                    "$ttl 78 ; note",
                    "$TTL 2147483648",
                    "$TTL 1h",
                    "$TTL",
                    " $TTL 77",
                    "$TTL 77 x",
                    ";",
                    "  ; blanks",
                    "$INCLUDE part",
                    "$INCLUDE part Sub.z.example.",
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
    kind = draw(st.sampled_from(sorted(DATA)))
    data = [draw(each) for each in DATA[kind]]
    if kind in RIGHT and draw(st.integers(0, 3)):
        wrong = draw(st.integers(0, 2 * len(data)))
        right = RIGHT[kind]
        data = [data[at] if at == wrong else right[at] for at in range(len(right))]
    else:
        data = data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 3)) == 0 else data
    parts = [
        draw(names),
        draw(ttls),
        draw(st.sampled_from(["", "IN", "in", "CH", "IN 9"])),
        kind,
        *data,
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
    return zone.names, {owner: list(map(repr, rrsets)) for owner, rrsets in zone.nodes.items()}


FIRST = ["", "$TTL 300\n", "$TTL 300\n$TTL 1h\n"]
HEADS = [HEAD, HEAD.replace(" SOA", " 5 SOA"), HEAD.replace("@ NS", " NS")]


@settings(max_examples=300)
@given(st.sampled_from(FIRST), st.sampled_from(HEADS), st.lists(lines(), max_size=8))
@example("", HEADS[1], ["a A 192.0.2.1"])
@example("$TTL 300\n", HEAD, ["a A 192.0.2.1", r"b TXT \"", " A 192.0.2.2"])
@example("$TTL 300\n", HEAD, ["a A 192.0.2.1", "$INCLUDE part", " A 192.0.2.2", "b TXT x"])
@example("$TTL 300\n", HEAD, ["a A 192.0.2.1", "$INCLUDE part", "b TXT x", " A 192.0.2.2"])
@example("$TTL 300\n", HEAD, ["a 7 A 192.0.2.1", "$GENERATE 1-2 g$ A 192.0.2.$", " TXT x"])
def test_the_same_by_dnspython_alone(
    tmp_path_factory: pytest.TempPathFactory, first: str, head: str, written: list[str]
) -> None:
    path = tmp_path_factory.mktemp("zone") / "z.example.zone"
    path.write_text(first + head + "\n".join(written), newline="")
    (path.parent / "part").write_text("\n\tA 192.0.2.9\n" + "\n".join(reversed(written[1:4])))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)
        ours = meaning(path)
        patch.setattr(records.Sink, "read", lambda *_: False)
        assert meaning(path) == ours


@settings(max_examples=500)
@example("@ SOA @")
@example("x NSEC a")
@given(lines())
def test_each_line_the_same(tmp_path_factory: pytest.TempPathFactory, line: str) -> None:
    """By itself, where no other error hides what it means."""
    test = test_the_same_by_dnspython_alone.hypothesis.inner_test  # type: ignore[attr-defined]
    test(tmp_path_factory, "$TTL 300\n", HEAD, [line])


templates = st.sampled_from(
    [
        *("a", "$", "x$", "$.y", "$$", "${1}", "${-2,3}", "${0,4,x}", "${-9}", "${1,2,X}b", "$%d$"),
        *("@", "${0,200}", "${1,4,n}", "\\$", "$é", "a;$", "$(", '"$"', '"q $"', "1.2.3.$", "25$"),
    ]
)
generates = st.builds(
    "$GENERATE {} {} {}{}{} {}{}".format,
    st.sampled_from(["1-3", "0-20/7", "5-5", "3-1", "1-2 ", "1-x", "1", "254-258"]),
    templates,
    st.sampled_from(["", "9 ", "1h ", "4294967295 ", "4294967296 ", "x "]),
    st.sampled_from(["", "IN ", "in ", "CH "]),
    st.sampled_from(["A", "a", "CNAME", "TXT", "MX", "PTR", "AAAA", "LOC", "NS", "TYPE700", "SOA"]),
    st.one_of(templates, st.sampled_from(['"5 m$"', "5 m$", "::$", "192.0.2.$", '""', ""])),
    st.sampled_from(["", " ", " ; note", " more"]),
)


@settings(max_examples=500)
@example(["$GENERATE 254-258 h$ A 192.0.2.$", " TXT x", "y A 192.0.2.9"])
@example(["$GENERATE 1-3 h$ 9 CNAME $", "$GENERATE 3-4 h$ TXT $", "y A 192.0.2.9"])
@example(["$GENERATE 1-3 h$ A 192.0.2.$"] * 2)
@example(["$GENERATE 1-3 ${1,4,n} CNAME a"])
@example(["$GENERATE 1-3 a${0,3 CNAME b${x}"])
@example(["$GENERATE 1-2 h$.other.test. A 192.0.2.$", "y A 192.0.2.9"])
@given(st.lists(st.one_of(generates, lines()), min_size=1, max_size=5))
def test_what_is_generated(tmp_path_factory: pytest.TempPathFactory, written: list[str]) -> None:
    """With its lines made plain, and by dnspython's way of making records."""
    test = test_the_same_by_dnspython_alone.hypothesis.inner_test  # type: ignore[attr-defined]
    test(tmp_path_factory, "$TTL 300\n", HEAD, written)


ORIGIN = dns.name.from_text("Z.example.")
ZONE = b"\1z\7example\0"


class Records:
    """Takes what dnspython's reader reads."""

    def __init__(self) -> None:
        self.manager, self.found = self, list[tuple[bytes, int, int, int, bytes]]()

    def origin_information(self) -> tuple[dns.name.Name, bool, dns.name.Name]:
        return dns.name.root, False, dns.name.root

    def check_put_rdataset(self, check: object) -> None:
        pass

    def add(self, name: dns.name.Name, ttl: int, rdata: dns.rdata.Rdata) -> None:
        wire = rdata.to_wire() or b""
        ttl = ttl if ttl <= TTL_MAX else 0
        self.found.append((name.to_digestable(), ttl, rdata.rdtype, rdata.covers(), wire))


def of_dnspython(line: str) -> list[tuple[bytes, int, int, int, bytes]]:
    """The records of a line; none if it is refused."""
    records = Records()
    tokenizer = dns.tokenizer.Tokenizer(io.StringIO(as_text(line.encode())))
    reader = dns.zonefile.Reader(
        tokenizer, dns.rdataclass.IN, cast(Transaction, records), default_ttl=77
    )
    reader.current_origin = reader.last_name = ORIGIN
    try:
        reader.read()
    except dns.exception.DNSException:
        return []
    return records.found


class Plain(RecordReader):
    """Takes any record that is plain."""

    def _warn_of_ttl(self) -> None:
        pass

    def _add(self, owner: bytes, ttl: int, rdtype: int, covers: int, wire: bytes) -> None:
        rrset = RRset(rdtype, covers, ttl, "", 1, [wire])
        self.nodes.setdefault(owner, []).append(rrset)

    def __init__(self) -> None:
        self.nodes: dict[bytes, list[RRset]] = {}
        super().__init__(self.nodes, ZONE, None, STATED_BEFORE_MINIMUM)
        self.enter(ORIGIN.to_wire() or b"", ZONE, None, 77, False)


def of_ours(line: str) -> list[tuple[bytes, int, int, int, bytes]]:
    """The record of a plain line; none if it is not one."""
    reader = Plain()
    reader.read(MasterFile("line", line.encode()))
    return [
        (owner, rrset.ttl, rrset.rdtype, rrset.covers, wire)
        for owner, rrsets in reader.nodes.items()
        for rrset in rrsets
        for wire in rrset.rdatas
    ]


@settings(max_examples=2000)
@given(st.data(), st.sampled_from(sorted({*DATA} - {"TYPE1", "CAA"})))
def test_data_of_each_type(data: st.DataObject, kind: str) -> None:
    """What is plain is what dnspython reads, and everything that is all right is plain."""
    words = [data.draw(each) for each in DATA[kind]]
    right = RIGHT.get(kind, words)
    wrong = data.draw(st.integers(-3, len(right)))
    words = [word if at == wrong else right[at] for at, word in enumerate(words)]
    line = f"w 5 {kind} {' '.join(words)}{data.draw(st.sampled_from(['', ' x', ' ; note']))}"
    ours = of_ours(line)
    assert not ours or ours == of_dnspython(line)


@pytest.mark.parametrize("kind", RIGHT)
def test_what_is_all_right_is_plain(kind: str) -> None:
    line = f"w 5 {kind} {' '.join(RIGHT[kind])}\n"
    assert of_ours(line) == of_dnspython(line) != []


@pytest.mark.parametrize(
    "line, taken",
    [
        ("www 300 IN A 192.0.2.1\n", True),
        ("www IN 300 A 192.0.2.1\n", True),
        ("www 1w2d3h4m5s A 192.0.2.1\n", True),
        ("\t AAAA 2001:db8::1 ; note\n", True),
        ("@ NS ns.other.test.\n", True),
        ("*.w CNAME web", True),
        ("www 300 A ( ; note\n 192.0.2.1 )\n", True),
        ("www 300 A 192.0.2.1 (\n", False),
        ("www 300 A 192.0.2.1 )\n", False),
        ('www TXT "x" y ; note\n', True),
        ('www TXT "x', False),
        ('www TXT a"x"\n', True),
        ("@ SOA ns1 host ( 1 2h 1h 2w 60 )\n", True),
        ("www MX 10 mail\n", True),
        (r"w\119\.w A 192.0.2.1", True),
        (r"w\256 A 192.0.2.1", False),
        ('www CAA 0 issue "ca.example; a=b"', True),
        ("www TYPE65280 \\# 2 ab cd", True),
        ("www A \\# 4 c0000201", False),
        ("www TYPE1 192.0.2.1", True),
        ('www HTTPS 1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1,192.0.2.2', True),
        ('www NAPTR 1 2 s SIP+D2U "" _sip._udp', True),
        ("www LOC 1 N 1 E 1m", False),
        ("$GENERATE 1-2 a$ A 192.0.2.$\n", False),
        ("\n", False),
        ("", False),
    ],
)
def test_what_is_plain(line: str, taken: bool) -> None:
    assert bool(of_ours(line)) == taken
    assert not taken or of_ours(line) == of_dnspython(line)


def test_errors_name_the_line_of_a_plain_record(tmp_path: Path) -> None:
    path = tmp_path / "z.example.zone"
    path.write_text(f"$TTL 300\n{HEAD}a A 192.0.2.1\nb CNAME a\nb A 192.0.2.1\nc A 192.0.2.1\n")
    with pytest.raises(ZoneError, match="a CNAME and other data") as caught:
        read_zone(path)
    assert str(caught.value).startswith(f"{path}:6:1: ")


@pytest.mark.parametrize("kind", [*RIGHT, "NS", "TXT", "NSEC", "A"])
def test_records_that_end_early(tmp_path: Path, kind: str) -> None:
    """After each of their words."""
    words = [*RIGHT.get(kind, ["a", "A", "NS"]), "x", "y"]
    for count in range(len(words) + 1):
        path = tmp_path / "z.example.zone"
        path.write_text(f"$TTL 300\n{HEAD}w {kind} {' '.join(words[:count])}\n")
        with pytest.MonkeyPatch.context() as patch:
            ours = meaning(path)
            patch.setattr(records.Sink, "read", lambda *_: False)
            assert meaning(path) == ours


VALUES = [
    *("0", "007", "255", "256", "65535", "65536", "2147483647", "2147483648", "4294967295"),
    *("4294967296", "00000000001", "1h", "-1", "+1", "1.5", "1_0", "\u0661", "ten", "@", ".", ".."),
    *("a.b", "a..b", "A.", "*", "a*b", "a/b", "$a", "a:b", "TYPE0", "TYPE65536", "NSEC", "-", "zz"),
    *("ab" * 20, "ab" * 48, "ab" * 255, "ab" * 256, "0" * 32, "w" * 32, "AwEAAQ", "AwEAAR==", "="),
    *(
        "A=A=",
        "20300230000000",
        "99991231235959",
        "x" * 63,
        "x" * 64,
        f"{'x.' * 126}",
        '"a"',
        r"\#",
    ),
]


@pytest.mark.parametrize("kind", RIGHT)
def test_each_word_replaced(kind: str) -> None:
    for at in range(len(RIGHT[kind])):
        for value in VALUES:
            words = [*RIGHT[kind][:at], value, *RIGHT[kind][at + 1 :]]
            line = f"w 5 {kind} {' '.join(words)}"
            ours = of_ours(line)
            assert not ours or ours == of_dnspython(line), line
