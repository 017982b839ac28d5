"""Master files that cannot be served: refused with file, line and column of each error."""

from __future__ import annotations

import re
from pathlib import Path

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import pytest
from dns_bytes_call import HEAD, BytesCall, lines
from dns_fake_signer import fake_signed
from dns_zones import compiled
from hypothesis import given
from hypothesis import strategies as st

from xdpkit._core._limits import ZONE_ITERATIONS_MAX
from xdpkit._core._zones import ZoneArena
from xdpkit.errors import ZoneError
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.sources import zone_files
from xdpkit.services.dns.zonefile.zone import name_text

# After the three lines of HEAD: (text that follows, line and column of the error, words in it).
BAD = {
    "no type": ("x\n", "4:1", "ends before its type: write NAME [TTL] TYPE DATA"),
    "unknown type": (
        "ok A 192.0.2.1\nx NOSUCHTYPE 1\n",
        "5:3",
        '"NOSUCHTYPE" is not a record type',
    ),
    "misspelt type": ("x AAA 2001:db8::1\n", "4:3", "did you mean AAAA?"),
    "bad address": ("\n; comment\nx A 192.0.2\n", "6:5", '"192.0.2" is not an IPv4 address: write'),
    "no owner": ("x A 192.0.2.1\n\tA  192.0.2\n", "5:5", '"192.0.2" is not an IPv4 address'),
    "bad address at the end": ("x AAAA 192.0.2.1", "4:8", '"192.0.2.1" is not an IPv6 address'),
    "generic address": ("x A \\# 3 010203\n", "4:10", '"010203" is not an IPv4 address'),
    "open quote": ('x TXT "open\ny A 192.0.2.1\n', "4:7", 'a quote (") that is not closed'),
    "open parenthesis": ("x TXT ( a\n b\n", "4:7", "a parenthesis that is never closed"),
    "open parenthesis before another": ("x MX ( 10\n a\ny A 192.0.2.1\n", "4:6", "never closed"),
    "closing parenthesis": ("x A 192.0.2.1 )\n", "4:15", "a ) without a ( before it"),
    "junk": ("x MX ( 10\n a b )\n", "5:4", '"b" after the end of the MX record'),
    "field missing": ("x MX 10\n", "4:8", "MX record ends too early: write MX PREFERENCE NAME"),
    "field missing later": ("x SOA a b ( 1 2\n 3 )\n", "5:5", "SOA record ends too early"),
    "no number": ("x MX ten mail\n", "4:6", '"ten" is not a number: write MX PREFERENCE NAME'),
    "large number": ("x SRV 0 0 65536 a\n", "4:11", "65536 is too large: at most 65535"),
    "hexadecimal": ("x DS 1 8 2 abc\n", "4:12", '"abc" has an odd number of hexadecimal digits'),
    "base64": ("x DNSKEY 257 3 8 AwEAA\n", "4:18", '"AwEAA" is not base64: copy it'),
    "long text": (f"x TXT a {'b' * 256}\n", "4:9", "is longer than 255 bytes: split it"),
    "label of 64": (f"{'a' * 64} A 192.0.2.1\n", "4:1", "more than 63 bytes"),
    "name of 256": (f"{'a.' * 124}a A 192.0.2.1\n", "4:1", "more than 255 bytes"),
    "empty label": ("x CNAME a..b\n", "4:9", '"a..b" has an empty label'),
    "escape in a name": ("a\\999b A 192.0.2.1\n", "4:1", "has an invalid escape: write \\DDD"),
    "escape in a text": ('x TXT a "b\\999"\n', "4:9", "has an invalid escape: write \\DDD"),
    "escape of nothing": ("x TXT a\\\n", "4:8", "at the end of the line"),
    "TTL": ("x 4294967296 A 192.0.2.1\n", "4:3", "the TTL 4294967296 is too large"),
    "TTL of a strange unit": (
        "x 1x A 192.0.2.1\n",
        "4:3",
        "neither a TTL nor a record type",
    ),
    "class": ("x CH A 192.0.2.1\n", "4:3", "class IN"),
    "$TTL": ("$TTL\n", "4:1", "$TTL without a number"),
    "$TTL of words": ("$TTL one\n", "4:6", '$TTL "one" is not a number of seconds'),
    "$TTL and more": ("$TTL 60 60\n", "4:9", '"60" after the end of $TTL'),
    "$ORIGIN": ("$ORIGIN\n", "4:8", "$ORIGIN without a domain name"),
    "$FOO": ("$FOO bar\n", "4:1", "unknown directive $FOO: valid: $GENERATE, $INCLUDE"),
    "$TLL": ("$TLL 60\n", "4:1", "unknown directive $TLL: did you mean $TTL?"),
    "$INCLUDE": ("$INCLUDE\n", "4:1", "$INCLUDE without a path"),
    "$INCLUDE of nothing": (
        "$INCLUDE nothing\n",
        "4:1",
        "$INCLUDE nothing: No such file or directory",
    ),
    "$GENERATE": ("$GENERATE 1-x a$ A 192.0.2.$\n", "4:11", "write $GENERATE START-STOP"),
    "$GENERATE of nonsense": ("$GENERATE 1-3 a$ A 192.0.2.30$\n", "4:20", "the data of A records"),
    "second SOA": ("@ SOA ns1 hostmaster 2 7200 3600 1209600 60\n", "4:1", "second SOA"),
    "SOA below": ("sub SOA ns1 hostmaster 2 7200 3600 1209600 60\n", "4:1", "SOA below"),
    "CNAME then data": ("x CNAME y\nx A 192.0.2.1\n", "5:1", "CNAME and other data"),
    "data then CNAME": ("x A 192.0.2.1\n  CNAME y\n", "5:3", "CNAME and other data"),
    "CNAME at the apex": ("@ CNAME y\n", "4:1", "write the addresses themselves there"),
    "two CNAMEs": ("x CNAME y\nx CNAME z\n", "5:1", "second CNAME"),
    "two DNAMEs": ("x DNAME y\nx DNAME z\n", "5:1", "second DNAME"),
    "DNAME and CNAME": ("x DNAME y\nx CNAME z\n", "5:1", "CNAME and other data"),
    "DNAME and delegation": ("x DNAME y\n  NS ns1\n", "5:3", "a delegation"),
    "below a DNAME": (
        "x DNAME y\nz A 192.0.2.1\na.b.x A 192.0.2.1\n",
        "6:1",
        "below the DNAME of x",
    ),
    "below the apex's DNAME": ("@ DNAME y.test.\nz A 192.0.2.1\n", "5:1", "below the DNAME"),
    "OPT": ("x TYPE41 \\# 0\n", "4:1", "messages"),
    "ANY": ("x TYPE255 \\# 0\n", "4:1", "messages"),
}


# Omissions and errors of a signer: (pattern, replacement, words in the error).
BROKEN_SIGNED = {
    "no RRSIG": (r"^x\.z\S+ \d+ RRSIG A .*\n", "", "no RRSIG"),
    "no NSEC": (r"^x\.z\S+ \d+ (NSEC|RRSIG NSEC) .*\n", "", "does not lead"),
    "NSEC elsewhere": (r"(^x\.z\S+ \d+ NSEC) \S+", r"\1 q.z.example.", "does not lead"),
    "no chain": (r"^\S+ \d+ (NSEC|RRSIG NSEC) .*\n", "", "neither NSEC nor NSEC3PARAM"),
}
BROKEN_HASHED = {
    "iterations": (r"(NSEC3(?:PARAM)? 1 [01]) 1 ab", r"\1 51 ab", "51 NSEC3 iterations"),
    "other parameters": (r"(NSEC3PARAM 1 0) 1 ab", r"\1 2 ab", "no NSEC3 record"),
    "unsigned NSEC3": (r"^\S+ \d+ RRSIG NSEC3 .*\n", "", "no RRSIG for the NSEC3"),
    "NSEC3 gone": (r"^(\w{32})\.z\S+ \d+ NSEC3 .*\n", "", "does not lead"),
    "unknown algorithm": (r"NSEC3PARAM 1", "NSEC3PARAM 2", "neither NSEC nor NSEC3PARAM"),
}
SIGNED = HEAD + "x A 192.0.2.1\nsub NS ns.sub\nsub DS 1 8 2 " + "ab" * 32 + "\ny.ent A 192.0.2.1\n"


def write(directory: Path, name: str, text: str | bytes) -> Path:
    path = directory / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("case", BAD)
def test_file_line_and_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    text, place, words = BAD[case]
    path = write(tmp_path, "z.example.zone", HEAD + text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZoneError) as caught:
        read_zone(path)
    assert str(caught.value).startswith(f"{path}:{place}: ")
    assert words in str(caught.value)
    assert "Text input" not in str(caught.value), "dnspython's words"
    assert "\n" not in str(caught.value) and str(caught.value).count(str(path)) == 1


@pytest.mark.parametrize(
    "nsec3, case", [(False, c) for c in BROKEN_SIGNED] + [(True, c) for c in BROKEN_HASHED]
)
def test_incomplete_signed_zones(tmp_path: Path, nsec3: bool, case: str) -> None:
    pattern, new, words = (BROKEN_HASHED if nsec3 else BROKEN_SIGNED)[case]
    text = fake_signed(SIGNED, "z.example", nsec3)
    count = 1 if case == "NSEC3 gone" else 0
    broken = re.sub(pattern, new, text, count=count, flags=re.MULTILINE)
    assert broken != text
    path = write(tmp_path, "z.example.zone", text)
    compiled(path)
    write(tmp_path, "z.example.zone", broken)
    with pytest.raises(ZoneError, match=words) as caught:
        compiled(path)
    line = str(caught.value).removeprefix(f"{path}:").split(":")[0]
    assert 1 <= int(line) <= broken.count("\n") and "z" in broken.splitlines()[int(line) - 1]


@pytest.mark.parametrize(
    "iterations, taken", [(0, True), (50, True), (51, False), (150, False), (2500, False)]
)
def test_iterations(tmp_path: Path, iterations: int, taken: bool) -> None:
    text = fake_signed(HEAD, "z.example", nsec3=True)
    hashed = dns.dnssec.nsec3_hash("z.example", "ab", iterations, 1).lower()
    old = dns.dnssec.nsec3_hash("z.example", "ab", 1, 1).lower()
    text = text.replace("1 0 1 ab", f"1 0 {iterations} ab").replace(old, hashed)
    path = write(tmp_path, "z.example.zone", text)
    if taken:
        compiled(path)
    else:
        with pytest.raises(ZoneError, match=f":\\d+: {iterations} NSEC3 iterations"):
            compiled(path)
        if iterations <= ZONE_ITERATIONS_MAX:
            ZoneArena(compiled(path, max_iterations=iterations))


@pytest.mark.parametrize(
    "text, place, words",
    [
        ("", "1:1", "no SOA"),
        ("$TTL 60\nx A 192.0.2.1\n", "1:1", "no SOA"),
        ("@ A 192.0.2.1\n", "1:1", "TTL"),
        (b"$TTL 60\n\na\xff\xfe A\n", "3:6", "A record ends too early"),
    ],
)
def test_required_records(tmp_path: Path, text: str | bytes, place: str, words: str) -> None:
    path = write(tmp_path, "z.example.zone", text)
    with pytest.raises(ZoneError) as caught:
        read_zone(path)
    assert str(caught.value).startswith(f"{path}:{place}: ") and words in str(caught.value)


@pytest.mark.parametrize("name", ["a..b.zone", f"{'a' * 64}.zone", "*.example.zone", "a\\999.zone"])
def test_invalid_zone_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(ZoneError, match="name"):
        read_zone(write(tmp_path, name, HEAD))


def test_an_included_file_has_its_own_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "part", "fine A 192.0.2.1\n\nwrong A 192.0.2\n")
    with pytest.raises(ZoneError, match=r"^part:3:9: "):
        read_zone(write(tmp_path, "z.example.zone", HEAD + "$INCLUDE part\n"))


def test_a_file_that_includes_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "part", "$INCLUDE part\n")
    with pytest.raises(ZoneError, match="include itself"):
        read_zone(write(tmp_path, "z.example.zone", HEAD + "$INCLUDE part\n"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ZoneError, match="cannot be read"):
        read_zone(tmp_path / "z.example.zone")
    (tmp_path / "d.example.zone").mkdir()
    with pytest.raises(ZoneError, match="cannot be read"):
        read_zone(tmp_path / "d.example.zone")
    with pytest.raises(ZoneError, match="cannot be read"):
        zone_files(tmp_path / "nothing")


def test_which_files_are_zones(tmp_path: Path) -> None:
    for name in ("geo.json", ".hidden.zone", "z.zone.swp", "readme"):
        write(tmp_path, name, "")
    with pytest.raises(ZoneError, match="no zones found"):
        zone_files(tmp_path)
    found = [write(tmp_path, name, HEAD) for name in ("..zone", "a.zone", "b.zone")]
    assert zone_files(tmp_path) == found


def test_the_same_record_in_capitals_is_there_once(tmp_path: Path) -> None:
    """This applies to names, not to text."""
    lines = "x NS a\nx NS A\nc CNAME www\nc CNAME WWW\nt TXT a\nt TXT A\np PTR a.\np PTR A.\n"
    zone = read_zone(write(tmp_path, "z.example.zone", HEAD + lines))
    counts = {owner[1:2]: len(rrsets[0].rdatas) for owner, rrsets in zone.nodes.items()}
    assert [counts[owner] for owner in (b"x", b"c", b"t", b"p")] == [1, 1, 2, 1]


def test_more_records_than_a_message_holds(tmp_path: Path) -> None:
    """As nsd has it: no records, and TC, over TCP too."""
    hosts = "".join(f"x A 10.0.{n >> 8}.{n & 255}\n" for n in range(6000))
    call = BytesCall(tmp_path, {"z.example": HEAD + hosts + "to CNAME x\n"})
    for name, records in (("x", 0), ("to", 1)):
        request = dns.message.make_query(f"{name}.z.example", "A").to_wire()
        verdict, reply = call.send(request, tcp=True)
        assert reply is not None
        message = dns.message.from_wire(reply)
        assert verdict == "dns_truncated" and message.flags & dns.flags.TC | dns.flags.AA
        assert len(message.answer) == records
    assert call.ask("x.z.example", "TXT").verdict == "dns_nodata"
    zone = read_zone(tmp_path / "z.example.zone")
    assert [(each.line, each.text[:30]) for each in zone.warnings] == [
        (4, "more records of one name and t")
    ]


@pytest.mark.parametrize(
    "rest", ["", "y LOC 1 N 1 E 1m ; \xe4\n", "$GENERATE 1-2 a$ A 192.0.2.1 ;\xe4\n"]
)
def test_bytes_that_are_not_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rest: str
) -> None:
    """In comments and texts, also of included files and where dnspython reads them."""
    monkeypatch.chdir(tmp_path)
    text = f"""{rest}; gr\xfc\xdfe
t TXT "\xfc" \xdf "\\\xfc\\252" ( ; \xe4
  "\xe4;" )
g TYPE65000 \\# 1 00 ; \xe4
u URI 1 1 "http://\xe4/\\\xe4"
$INCLUDE part
"""
    write(tmp_path, "part", b'; \xe4\ni TXT "\xe4"\ni HINFO "\xe4" \xe4\n')
    zone = read_zone(write(tmp_path, "z.example.zone", HEAD.encode() + text.encode("latin-1")))

    def data(name: bytes) -> list[bytes]:
        return [wire for rrset in zone.nodes[name + b"\1z\7example\0"] for wire in rrset.rdatas]

    assert data(b"\1t") == [b"\1\xfc\1\xdf\2\xfc\xfc\2\xe4;"]
    assert data(b"\1u") == [b"\0\1\0\1http://\xe4/\xe4"]
    assert data(b"\1i") == [b"\1\xe4", b"\1\xe4\1\xe4"]


# -------------------------------------------------------------------------------------------------


def test_what_master_files_may_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "part", "inc A 192.0.2.9\n")
    text = (
        HEAD
        + """
$GENERATE 1-3 gen$ A 192.0.2.$
$INCLUDE part
$INCLUDE part sub.z.example.
$ORIGIN deep.z.example.
@ 1h IN TXT ( "two"
    "strings" ) ; comment
IN IN TYPE65280 \\# 2 abcd
\\068ot\\.ted A 192.0.2.1
u\u00fc A 192.0.2.2
twice A 192.0.2.3
twice A 192.0.2.3
low 60 A 192.0.2.5
low 30 A 192.0.2.4
svc HTTPS 1 . alpn=h2
caa CAA 0 issue "ca.test"
alias CNAME twice
alias RRSIG A 8 3 300 20300101000000 20200101000000 1 z.example. AAAA
signed 40 RRSIG A 8 3 40 20300101000000 20200101000000 1 z.example. AAAA
signed 50 RRSIG MX 8 3 50 20300101000000 20200101000000 1 z.example. AAAA
"""
    )
    call = BytesCall(tmp_path, {"z.example": text})

    def answers(name: str, rdtype: str) -> list[str]:
        found = lines(call.ask(f"{name}z.example", rdtype).answer)
        return [line.split(" ", 1)[1] for line in found]

    assert answers("gen3.", "A") == ["300 IN A 192.0.2.3"]
    assert answers("inc.", "A") == answers("inc.sub.", "A") == ["300 IN A 192.0.2.9"]
    assert answers("deep.", "TXT") == ['3600 IN TXT "two" "strings"']
    assert answers("in.deep.", "TYPE65280") == ["300 IN TYPE65280 \\# 2 abcd"]
    assert answers("dot\\.ted.deep.", "A") == ["300 IN A 192.0.2.1"]
    assert answers("u\\195\\188.deep.", "A") == ["300 IN A 192.0.2.2"], "its bytes"
    assert answers("twice.deep.", "A") == ["300 IN A 192.0.2.3"]
    assert answers("low.deep.", "A") == ["30 IN A 192.0.2.5", "30 IN A 192.0.2.4"]
    assert answers("svc.deep.", "HTTPS") == ['300 IN HTTPS 1 . alpn="h2"']
    assert answers("alias.deep.", "RRSIG")[0].startswith("300 IN RRSIG A 8")
    assert [line[:13] for line in answers("signed.deep.", "RRSIG")] == [
        "40 IN RRSIG A",
        "50 IN RRSIG M",
    ]


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=5))
def test_a_name_as_text_is_dnspythons(labels: list[bytes]) -> None:
    name = dns.name.Name([*labels, b""])
    assert name_text(name.to_wire() or b"") == name.to_text(omit_final_dot=True)
