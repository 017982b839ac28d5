"""Warnings of what loads but is probably a mistake, each beside its nearest innocent neighbor."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from dns_fake_signer import fake_signed
from dnsdiff.signing import OPTIONS, program, sign

from xdpkit.errors import ERRORS_MAX
from xdpkit.services.dns.zonefile.lint import lint
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.zone import WARNINGS_MAX, name_text

GOOD = (
    "$TTL 300\n@ SOA ns1 hostmaster 5 7200 3600 1209600 60\n@ NS ns1\n@ NS ns2\n"
    "ns1 A 192.0.2.1\nns2 AAAA 2001:db8::2\n"
)
"""Six lines without a warning."""

# 2026-01-01 00:00:00 UTC.
NOW = 1767225600
DAY = 86400


def linted(path: Path, text: str, name: str = "z.example", now: int = NOW) -> list[str]:
    """The warnings of a zone: LINE TEXT."""
    file = path / f"{name}.zone"
    file.write_text(text)
    zone = read_zone(file)
    lint(zone, now)
    assert all(each.path == str(file) for each in zone.warnings)
    return [f"{each.line} {each.text}" for each in zone.warnings]


# After the six lines of GOOD: what warns, the beginning of the warning and words in it, and the
# nearest text that does not.
CASES = {
    "dot of NS": (
        "sub NS ns1.z.example\n",
        "7 ns1.z.example.z.example has the zone's name twice: write ns1.z.example.",
        "sub NS ns1.z.example.\n",
    ),
    "dot of MX": ("@ MX 1 ns1.Z.example\n", "7 ns1.z.example.z.e", "@ MX 1 ns1.z.example.\n"),
    "dot of SRV": ("s SRV 0 0 1 ns1.z.example\n", "7 ns1.z", "s SRV 0 0 1 ns1.z.example.\n"),
    "dot of CNAME": ("w CNAME ns1.z.example\n", "7 ns1.z", "w CNAME ns1.z.example.\n"),
    "dot of PTR": ("p PTR ns1.z.example\n", "7 ns1.z", "p PTR ns1.z.example.\n"),
    "dot of DNAME": ("d DNAME ns1.z.example\n", "7 ns1.z", "d DNAME ns1.z.example.\n"),
    "dot of HTTPS": ("h HTTPS 1 ns1.z.example\n", "7 ns1.z", "h HTTPS 1 ns1.z.example.\n"),
    "dot of SVCB": ("h SVCB 1 ns1.z.example\n", "7 ns1.z", "h SVCB 1 ns1.z.example.\n"),
    "dot of an owner": (
        "w.z.example A 192.0.2.3\n",
        "7 the owner w.z.example.z.example has the zone's name twice: write w.z.example. with a",
        "w.xz.example A 192.0.2.3\na\\001z\\007example A 192.0.2.3\n",
    ),
    "an owner that is delegated": (
        "z.example A 192.0.2.3\n",
        "7 the owner z.example.z.example has",
        "z.example NS ns1\nw.z.example NS ns1\nx CNAME ns1.z.example\n",
    ),
    "MX without address": (
        "@ MX 10 mail\n",
        "7 the MX record's mail.z.example has no address in this zone: write mail.z.example. A",
        "@ MX 10 mail\nmail AAAA 2001:db8::3\n",
    ),
    "SRV without address": (
        "_s._tcp SRV 0 0 1 s\ns TXT a\n",
        "7 the SRV record's s.z.example has no address",
        "_s._tcp SRV 0 0 1 s\n*.z.example. A 192.0.2.3\n",
    ),
    "wildcard that does not reach": (
        "@ MX 1 a.b\n*.z.example. A 192.0.2.3\nb TXT b\n",
        "7 the MX record's a.b.z.example has",
        "@ MX 1 a.b\n*.b A 192.0.2.3\nb TXT b\n",
    ),
    "NS without address": (
        "@ NS ns3\n",
        "3 the NS record's ns3.z.example has no address",
        "@ NS ns3.z.example.net.\n",
    ),
    "NS of a cut without address": (
        "sub NS ns3\n",
        "7 the NS record's ns3.z.example has no address",
        "sub NS ns.other\nother NS ns1\n",
    ),
    "no glue": (
        "sub NS ns.sub\n",
        "7 no glue for ns.sub.z.example, a server of sub.z.example inside it",
        "sub NS ns.sub\nns.sub A 192.0.2.3\n",
    ),
    "no server": ("@ MX 0 x\n", "7 the MX record's x.z.example has", "@ MX 0 .\ns SRV 0 0 0 .\n"),
    "MX to an alias": (
        "@ MX 10 m\nm CNAME ns1\n",
        "7 the MX record's m.z.example is an alias",
        "@ MX 10 m\nm A 192.0.2.3\nmail CNAME M\n",
    ),
    "SRV to an alias": (
        "s SRV 0 0 1 m\nm CNAME ns1\n",
        "7 the SRV record's m.z.example is an alias",
        "s SRV 0 0 1 m\nm A 192.0.2.3\n",
    ),
    "NS to an alias": (
        "sub NS m\nm CNAME ns1\n",
        "7 the NS record's m.z.example is an alias",
        "sub NS m\nm CNAME ns1\n".replace("sub NS m", "sub NS ns1"),
    ),
    "alias of nothing": (
        "w CNAME cdn.example.net\n",
        "7 an alias of cdn.example.net.z.example, which does not exist in this zone",
        "w CNAME cdn.example.net.\nv CNAME x.sub\nsub NS ns1\nu CNAME x.d\nd DNAME e.example.\n",
    ),
    "a key without a signature": (
        "@ DNSKEY 257 3 13 AAAA\n",
        "7 a DNSKEY without a signature: sign the zone, or remove its keys",
        "w DNSKEY 257 3 13 AAAA\n",
    ),
    "NSEC3 iterations": (
        "@ NSEC3PARAM 1 0 5 ab\n",
        "7 5 NSEC3 iterations: RFC 9276 section 3.1 requires 0",
        "@ NSEC3PARAM 1 0 0 -\n",
    ),
}

# Of the cases, those that named-checkzone judges too, and its words.
PEER = {
    "MX without address": "has no address records",
    "SRV without address": "has no address records",
    "wildcard that does not reach": "has no address records",
    "NS without address": "has no address records",
    "no glue": "has no REQUIRED GLUE address records",
    "MX to an alias": "is a CNAME (illegal)",
    "SRV to an alias": "is a CNAME (illegal)",
    "NS to an alias": "is a CNAME (illegal)",
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_and_its_innocent_neighbor(tmp_path: Path, case: str) -> None:
    text, words, innocent = CASES[case]
    found = linted(tmp_path, GOOD + text)
    assert [each for each in found if each.startswith(words)] == found and len(found) == 1
    assert linted(tmp_path, GOOD + innocent) == []


@pytest.mark.parametrize("case", PEER)
def test_named_checkzone_is_of_the_same_opinion(tmp_path: Path, case: str) -> None:
    text, _, innocent = CASES[case]
    named_checkzone = program("named-checkzone")
    assert named_checkzone, "no named-checkzone: vagrant/provision.sh test installs it"
    for zone, told in ((text, True), (innocent, False)):
        path = tmp_path / "zone"
        path.write_text(GOOD + zone)
        # local: what is outside the zone is not looked up.
        command = [named_checkzone, "-i", "local", "z.example", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (PEER[case] in done.stdout + done.stderr) == told, done.stdout


def test_a_mistake_is_told_once_for_each_name(tmp_path: Path) -> None:
    text = "".join(f"h{i} MX 10 mail\nh{i} MX 20 MAIL2\n" for i in range(50))
    assert len(linted(tmp_path, GOOD + text)) == 2


def test_names_of_one_label(tmp_path: Path) -> None:
    """com.com exists; lan.lan is a mistake, unless it is delegated."""
    (found,) = linted(tmp_path, GOOD + "w CNAME ns1.lan\n", "lan")
    assert found.startswith("7 ns1.lan.lan has the zone's name twice: write ns1.lan.")
    assert linted(tmp_path, GOOD + "lan NS ns1\nw CNAME ns1.lan\n", "lan") == []


def test_the_root(tmp_path: Path) -> None:
    text = GOOD + "com NS a.com\na.com A 192.0.2.3\n@ MX 0 .\nx CNAME y\n"
    (found,) = linted(tmp_path, text, ".")
    assert found.startswith("10 an alias of y, which")


SOA = "@ SOA ns1 hostmaster {}\n"


@pytest.mark.parametrize(
    "wrong, words, right",
    [
        (
            "5 7200 7201 1209600 60",
            "secondaries would retry after 7201 s",
            "5 7200 7200 1209600 60",
        ),
        ("5 7200 3600 10799 60", "secondaries would drop the zone", "5 7200 3600 10800 60"),
    ],
)
def test_timers(tmp_path: Path, wrong: str, words: str, right: str) -> None:
    start, rest = "$TTL 300\n", GOOD.split("\n", 2)[2]
    (found,) = linted(tmp_path, start + SOA.format(wrong) + rest)
    assert found.startswith(f"2 {words}")
    assert linted(tmp_path, start + SOA.format(right) + rest) == []


def test_the_negative_ttl(tmp_path: Path) -> None:
    rest = GOOD.split("\n", 2)[2]

    def of(ttl: int, minimum: int) -> list[str]:
        soa = SOA.format(f"5 7200 3600 1209600 {minimum}")
        return linted(tmp_path, f"$TTL {ttl}\n{soa}{rest}")

    (found,) = of(2 * DAY, DAY + 1)
    assert found.startswith("2 a name that does not exist would be remembered for 86401 s, over a")
    # RFC 2308 section 5: the lower of both counts.
    assert of(2 * DAY, DAY) == of(300, DAY + 1) == []


def test_a_single_server(tmp_path: Path) -> None:
    (found,) = linted(tmp_path, GOOD.replace("@ NS ns2\n", ""))
    assert found.startswith("3 a single server: ")


@pytest.mark.parametrize("serial", [4, 5, 6, 5 + (1 << 31) - 1, 5 + (1 << 31), (1 << 32) - 1])
def test_the_serial(tmp_path: Path, serial: int) -> None:
    """RFC 1982: half of all numbers are behind one."""
    path = tmp_path / "z.example.zone"
    path.write_text(GOOD)
    zone = read_zone(path)
    lint(zone, NOW, serial)
    texts = [each.text for each in zone.warnings]
    # Half way around, RFC 1982 leaves it open; a secondary that compares like named stays behind.
    behind = serial in (6, 5 + (1 << 31) - 1, 5 + (1 << 31))
    assert [text.split(",")[0] for text in texts] == [f"the serial 5 is behind {serial}"] * behind


def test_a_name_of_the_zone_beside(tmp_path: Path) -> None:
    """Without a delegation too: the server answers from the longest zone."""
    path = tmp_path / "z.example.zone"
    path.write_text(GOOD + "@ MX 10 mail.sub\nw CNAME x.sub\n")
    zone = read_zone(path)
    lint(zone, NOW, elsewhere=lambda name: name_text(name) == "sub.z.example")
    assert zone.warnings == []


# -------------------------------------------------------------------------------------------------


def signed(inception: int, expiration: int, more: str = "") -> str:
    """A signed zone whose signatures have these times, in seconds from NOW."""
    text = fake_signed(GOOD + more, "z.example")
    begin, end = (
        time.strftime("%Y%m%d%H%M%S", time.gmtime(NOW + each)) for each in (inception, expiration)
    )
    text = text.replace("20300101000000 20200101000000", f"{end} {begin}")
    keys = "z.example. 300 DNSKEY 257 3 13 AAAA\n"
    return text + keys + f"z.example. 300 RRSIG DNSKEY 13 2 300 {end} {begin} 1 z.example. AAAA\n"


def times(found: list[str]) -> list[str]:
    return [each.split(" ", 1)[1] for each in found if "signature" in each]


def signed_warnings(path: Path, text: str, now: int = NOW) -> list[str]:
    # DNSKEY came after the chain was made, which is not judged here.
    return times(linted(path, text, now=now))


def test_signatures_that_have_expired(tmp_path: Path) -> None:
    (found,) = signed_warnings(tmp_path, signed(-30 * DAY, -1))
    assert found.startswith("8 signatures have expired, the first at 2025-12-31 23:59 UTC, that of")
    assert signed_warnings(tmp_path, signed(-30 * DAY, 8 * DAY)) == []


def test_signatures_that_are_not_valid_yet(tmp_path: Path) -> None:
    (found,) = signed_warnings(tmp_path, signed(3600, 30 * DAY))
    assert found.startswith("8 signatures are not valid yet, the first not before 2026-01-01 01:00")
    assert signed_warnings(tmp_path, signed(0, 30 * DAY)) == []


def test_signatures_that_expire_soon(tmp_path: Path) -> None:
    (found,) = signed_warnings(tmp_path, signed(-23 * DAY, 7 * DAY - 1))
    assert found.startswith("8 signatures expire soon, the first at 2026-01-07 23:59 UTC, that of")
    assert signed_warnings(tmp_path, signed(-23 * DAY, 7 * DAY)) == []
    # Some are renewed every day: half of their time is left.
    assert signed_warnings(tmp_path, signed(-DAY, DAY)) == []
    assert len(signed_warnings(tmp_path, signed(-DAY, DAY - 2))) == 1


def test_one_signature_that_has_expired(tmp_path: Path) -> None:
    text = signed(-30 * DAY, 30 * DAY)
    line = next(
        each for each in text.splitlines() if each.startswith("ns2") and "RRSIG AAAA" in each
    )
    old = line.replace("20260131000000", "20251230120000")
    (found,) = signed_warnings(tmp_path, text.replace(line, old))
    assert found.startswith(
        "a signature expired at 2025-12-30 12:00 UTC, that of ns2.z.example AAAA"
    )
    # Beside one that holds, as during a change of keys.
    assert signed_warnings(tmp_path, text.replace(line, f"{line}\n{old}")) == []


def test_two_signatures_of_one_set(tmp_path: Path) -> None:
    """The set holds as long as one of them does."""
    text = signed(-30 * DAY, 30 * DAY)
    line = next(each for each in text.splitlines() if "RRSIG AAAA" in each)

    def of(*ends: str) -> list[str]:
        lines = [line.replace("20260131000000", end) for end in ends]
        return signed_warnings(tmp_path, text.replace(line, "\n".join(lines)))

    assert of("20260102000000", "20260131000000") == of("20260131000000", "20260102000000") == []
    for ends in ("20251230000000", "20251229000000"), ("20251229000000", "20251230000000"):
        (found,) = of(*ends)
        assert found.startswith("a signature expired at 2025-12-30 00:00 UTC")


def test_the_first_of_several(tmp_path: Path) -> None:
    text = signed(-30 * DAY, 30 * DAY)
    lines = [each for each in text.splitlines() if "RRSIG A" in each]
    assert len(lines) == 2
    for days in (29, 28), (28, 29):
        changed = text
        for line, day in zip(lines, days, strict=True):
            changed = changed.replace(line, line.replace("20260131000000", f"202512{day}000000"))
        (found,) = signed_warnings(tmp_path, changed)
        assert found.startswith("2 signatures have expired, the first at 2025-12-28 00:00 UTC")


@pytest.mark.parametrize("expiration, expired", [(-DAY // 2, True), (8 * DAY, False)])
def test_times_go_around_in_2106(tmp_path: Path, expiration: int, expired: bool) -> None:
    """RFC 4034 section 3.1.5: at the end of 32 bits the numbers begin again."""
    now = (1 << 32) + DAY
    end, begin = ((now + each) % (1 << 32) for each in (expiration, -30 * DAY))
    text = fake_signed(GOOD, "z.example")
    text = text.replace("20300101000000 20200101000000", f"{end} {begin}")
    found = [each for each in signed_warnings(tmp_path, text, now) if "have expired" in each]
    assert len(found) == expired
    assert all("the first at 2106-02-07 18:28" in each for each in found)


def test_signatures_without_a_key(tmp_path: Path) -> None:
    text = signed(-30 * DAY, 30 * DAY)
    without = "".join(line for line in text.splitlines(True) if "DNSKEY" not in line)
    (found,) = signed_warnings(tmp_path, without)
    assert found.startswith("signatures without a DNSKEY")


@pytest.mark.parametrize("kind", OPTIONS)
def test_what_a_real_signer_makes(tmp_path: Path, kind: str) -> None:
    """dnssec-signzone's signatures hold for 30 days."""
    path = tmp_path / "z.example.zone"
    path.write_text(GOOD + "sub NS ns1\nw A 192.0.2.3\n")
    sign(tmp_path, "z.example", OPTIONS[kind])
    text, now = path.read_text(), int(time.time())
    about = ["5 NSEC3 iterations"] * (kind == "nsec3")
    for days, words in (
        (0, []),
        (24, ["signatures expire soon"]),
        (31, ["signatures have expired"]),
    ):
        found = [each.split(" ", 1)[1] for each in linted(tmp_path, text, now=now + days * DAY)]
        assert len(found) == len(words) + len(about), found
        assert all(any(word in each for each in found) for word in words + about)


# -------------------------------------------------------------------------------------------------


def test_warnings_are_bounded(tmp_path: Path) -> None:
    count = 3 * ERRORS_MAX
    path = tmp_path / "z.example.zone"
    path.write_text(GOOD + "".join(f"h{i} MX 1 m{i}\n" for i in range(count)))
    zone = read_zone(path)
    lint(zone, NOW)
    assert len(zone.warnings) == WARNINGS_MAX
    assert zone.unlisted == ERRORS_MAX - WARNINGS_MAX


class Counted(dict[bytes, list[object]]):
    """Names of a zone, each look at one of which is counted."""

    looks = 0

    def get(self, *arguments: object) -> object:  # type: ignore[override]
        self.looks += 1
        return super().get(*arguments)  # type: ignore[call-overload]


def test_the_time_grows_with_the_zone_and_not_faster(tmp_path: Path) -> None:
    looks = []
    for count in (10_000, 100_000):
        path = tmp_path / "z.example.zone"
        hosts = "".join(
            f"h{i} MX 1 h{i + 1}\n A 192.0.2.1\na.b.c{i} CNAME h{i}\n" for i in range(count)
        )
        path.write_text(GOOD + hosts + f"h{count} A 192.0.2.1\n")
        zone = read_zone(path)
        nodes = Counted(zone.nodes)
        zone.nodes = nodes  # type: ignore[assignment]
        lint(zone, NOW)
        assert zone.warnings == []
        looks.append(nodes.looks)
    assert looks[1] < 10.1 * looks[0] < 10.1 * 12 * 10_000


def test_names_of_many_labels(tmp_path: Path) -> None:
    """A name has at most 127 labels, and none is looked at twice for one record."""
    deep = ".".join("a" * 110)
    found = linted(tmp_path, GOOD + f"{deep} A 192.0.2.1\n@ MX 1 b.{deep}\n")
    assert len(found) == 1


def test_a_zone_that_is_in_order_has_no_warning(tmp_path: Path) -> None:
    """Signed by a signer of others, with all that a zone of a company has."""
    text = (
        GOOD + "@ MX 10 mail\n@ A 192.0.2.3\nmail A 192.0.2.4\n_sip._tcp SRV 0 0 5060 mail\n"
        "www CNAME z.example.\nftp CNAME www\n@ HTTPS 1 . alpn=h2\n@ TXT v=spf1\n"
        "sub NS ns.sub\nsub NS ns.example.net.\nns.sub A 192.0.2.5\n*.apps CNAME www\n"
        "old DNAME new\nnew TXT here\nmx2 MX 5 x.apps.example.\n"
        "z.example._report._dmarc TXT v=DMARC1\n"
    )
    assert linted(tmp_path, text) == []
