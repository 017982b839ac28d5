"""Where the load generator's queries come from, and the frames of off-wire measurements."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import dns.message
import dns.rdatatype
import pytest

from xdpkit._core._offwire import OffWire
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._stats import VERDICTS
from xdpkit.bench import frames, zones
from xdpkit.errors import ConfigError, ZoneError
from xdpkit.loadgen import queries
from xdpkit.services.ntp.local import local_state

ZONE = """$ORIGIN example.
@ 60 SOA . . 1 2 3 4 5
@ 60 NS ns
www 60 A 192.0.2.1
www 60 AAAA 2001:db8::1
sub 60 NS ns.sub
ns.sub 60 A 192.0.2.2
"""


def asked(query: bytes) -> tuple[str, str]:
    message = dns.message.from_wire(query)
    assert (message.id, message.edns, len(message.question)) == (0, 0, 1)
    return message.question[0].name.to_text(), dns.rdatatype.to_text(message.question[0].rdtype)


def test_of_file_reads_what_dnsperf_reads(tmp_path: Path) -> None:
    path = tmp_path / "queries"
    path.write_text("; comment\n\nwww.example A\n#\nExample. mx\n. NS\n")
    found = [asked(query) for query in queries.from_file(path)]
    assert found == [("www.example.", "A"), ("Example.", "MX"), (".", "NS")]


@pytest.mark.parametrize(
    "line, words",
    [
        ("www.example", "is not NAME TYPE"),
        ("www.example A IN", "is not NAME TYPE"),
        ("www..example A", "is not a query"),
        ("www.example B", "is not a query"),
        (f"{'a' * 64}.example A", "is not a query"),
    ],
)
def test_of_file_says_which_line_is_wrong(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "queries"
    path.write_text(f"www.example A\n{line}\n")
    with pytest.raises(ConfigError, match=f"queries:2: .*{words}"):
        queries.from_file(path)


def test_of_file_without_a_query(tmp_path: Path) -> None:
    path = tmp_path / "queries"
    path.write_text("; nothing\n")
    with pytest.raises(ConfigError, match="the file has no queries"):
        queries.from_file(path)


def test_of_zone_queries_what_has_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "example.zone"
    path.write_text(ZONE)
    found = {asked(query) for query in queries.from_zone(path)}
    assert found == {
        ("example.", "SOA"),
        ("example.", "NS"),
        ("www.example.", "A"),
        ("www.example.", "AAAA"),
    }
    path.write_text("nonsense\n")
    with pytest.raises(ZoneError):
        queries.from_zone(path)


def test_drawn_repeats_few_and_permutes_many() -> None:
    few = queries.draw([b"a", b"b"], least=1000)
    assert len(few) == 1000 and set(few) == {b"a", b"b"}
    many = [b"%d" % number for number in range(1000)]
    permuted = queries.draw(many, least=10)
    assert permuted != many and sorted(permuted) == sorted(many)


def test_zipf_makes_few_names_popular() -> None:
    names = [b"%d" % number for number in range(1000)]
    counts = Counter(queries.zipf(names, 100_000)).most_common()
    # The harmonic number of 1000 is 7.49: the first's share is 0.134, the tenth's a tenth of that.
    assert counts[0][1] == pytest.approx(13_360, rel=0.1)
    assert counts[9][1] == pytest.approx(1_336, rel=0.2)


def test_all_queries_of_the_zones_have_one_length() -> None:
    lengths = {len(query) for query in zones.uniform(zones.SMALL)}
    assert lengths == {zones.reply_bytes() - zones.ANSWER_BYTES}
    assert asked(zones.queries(3)[2]) == ("host-0000002.bench.example.", "A")


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("service", ["echo", "ntp"])
def test_frames_are_right(service: str, version: int) -> None:
    payloads = frames.ntp_payloads(100) if service == "ntp" else frames.echo_payloads(100)
    made = frames.frames(service, payloads, version)
    snapshot = Snapshot({"echo": 7, "ntp": 123}, ntp=local_state(10))
    offwire = OffWire(snapshot, made)
    offwire.run(128, 64)
    counts = offwire.counters()["verdicts"]
    answered = {v.name: n for v, n in zip(VERDICTS, counts, strict=False) if n}
    assert answered == {f"{service}_answered": 128}
