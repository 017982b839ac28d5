"""All ways to write a record: C, dnspython and BIND read the same, by itself and in a file."""

from __future__ import annotations

import io
import random
import subprocess
from pathlib import Path
from typing import cast

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.tokenizer
import dns.zonefile
import master_lines
import pytest
from dns.transaction import Transaction
from dns_bytes_call import HEAD
from dnsdiff.signing import program
from required import missing

from xdpkit._core._master_file import MasterFile, RecordReader
from xdpkit.errors import ZoneError
from xdpkit.services.dns.zonefile import records
from xdpkit.services.dns.zonefile.lines import as_text
from xdpkit.services.dns.zonefile.read import read_zone

ORIGIN = dns.name.from_text("Z.example.")
ZONE = b"\1z\7example\0"
Record = tuple[bytes, int, int, int, bytes]


class Theirs:
    """Takes what dnspython's reader reads."""

    def __init__(self) -> None:
        self.manager, self.found = self, list[Record]()

    def origin_information(self) -> tuple[dns.name.Name, bool, dns.name.Name]:
        return dns.name.root, False, dns.name.root

    def check_put_rdataset(self, check: object) -> None:
        pass

    def _set_origin(self, origin: object) -> None:
        pass

    def add(self, name: dns.name.Name, ttl: int, rdata: dns.rdata.Rdata) -> None:
        wire = rdata.to_wire() or b""
        self.found.append((name.to_digestable(), ttl, rdata.rdtype, rdata.covers(), wire))


# Of these, we load what the peers load and dnspython does not: test_dns_as_the_peers.py.
LENIENT = {43, 44, 52, 59, 64, 65}


def of_dnspython(text: str) -> tuple[list[Record], bool]:
    """The records of a text up to an error, and whether there is none."""
    theirs = Theirs()
    escaped = "".join(as_text(line.encode()) for line in text.splitlines(keepends=True))
    lines = io.StringIO(escaped, newline=None)
    reader = dns.zonefile.Reader(
        dns.tokenizer.Tokenizer(lines), dns.rdataclass.IN, cast(Transaction, theirs)
    )
    reader.current_origin = reader.last_name = ORIGIN
    reader.default_ttl, reader.default_ttl_known = 77, True
    try:
        reader.read()
    except (dns.exception.DNSException, ValueError):
        return theirs.found, False
    return theirs.found, True


class Ours(RecordReader):
    """Takes all records as they come: no name is in its zone."""

    def __init__(self) -> None:
        super().__init__({}, b"\7nothing\0", None, True)
        self.found: list[Record] = []
        self.enter(ORIGIN.to_wire() or b"", ZONE, None, 77, False)

    def _add(self, *record: object) -> None:
        self.found.append(cast(Record, record))


def of_ours(text: str) -> tuple[list[Record], bool]:
    """The records of a text up to what is not plain, and whether all is."""
    ours = Ours()
    at_end = ours.read(MasterFile("text", text.encode()))
    return ours.found, at_end


@pytest.mark.parametrize("kind", master_lines.RIGHT)
def test_what_is_right_is_plain(kind: str) -> None:
    text = f"w 5 {kind} {' '.join(master_lines.RIGHT[kind])}\n"
    assert of_ours(text) == of_dnspython(text)
    assert of_ours(text)[1]


@pytest.mark.parametrize("wrong", [0.0, 0.05, 0.3])
def test_records_by_themselves(wrong: float) -> None:
    chance = random.Random(int(wrong * 100))
    plain = 0
    for _ in range(5000):
        text = "".join(
            master_lines.record(chance, wrong, master_lines.RIGHT) + "\n" for _ in range(2)
        )
        (ours, whole), (theirs, right) = of_ours(text), of_dnspython(text)
        plain += whole
        more = ours[len(theirs) :] if theirs == ours[: len(theirs)] else []
        if not (more and more[0][2] in LENIENT):
            assert ours == theirs[: len(ours)], text
            assert not whole or (right and len(ours) == len(theirs)), text
        assert wrong or whole, text
    assert plain > 500


def meaning(path: Path) -> object:
    """Everything that the compiler takes from a file, or where and why it is refused."""
    try:
        zone = read_zone(path)
    except ZoneError as error:
        return error.lines()
    return {owner: list(map(repr, rrsets)) for owner, rrsets in zone.nodes.items()}


@pytest.mark.parametrize("wrong", [0.0, 0.02])
@pytest.mark.parametrize("seed", range(60))
def test_whole_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, wrong: float
) -> None:
    """Records, directives and includes in turn; with errors, each of them and its place."""
    chance = random.Random(seed + 1000 * wrong)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "z.example.zone"
    head = HEAD if seed % 3 else HEAD.replace("$TTL", ";$TTL").replace(" SOA", " 9 SOA")
    text = head + "\n".join(master_lines.file(chance, 20, wrong))
    path.write_text(text, newline="")
    (tmp_path / "part").write_text("\n".join(master_lines.file(chance, 3, wrong)), newline="")
    with monkeypatch.context() as patch:
        patch.setattr(records.Sink, "read", lambda *_: False)
        theirs = meaning(path)
    assert meaning(path) == theirs


def test_bind_reads_the_same(tmp_path: Path) -> None:
    """What named-compilezone makes of a file is read again; TTLs and data are the same."""
    compilezone = program("named-compilezone")
    if compilezone is None:
        missing("no named-compilezone: vagrant/provision.sh test installs it")
    chance = random.Random(7)
    lines = ["ns1 A 192.0.2.1"]
    kinds = {k: v for k, v in master_lines.RIGHT.items() if k not in ("SOA", "DNAME", "CNAME")}
    owners = sorted(filter(None, master_lines.OWNERS), key=len, reverse=True)
    for apart in range(400):
        text = master_lines.record(chance, 0.0, kinds)
        # A name of its own: TTLs differ, and some types are for the apex only, or for others.
        owner = next((each for each in owners if text.startswith(each)), "")
        lines.append(f"n{apart}{text[len(owner) :]}" if owner else f"n{apart} {text}")
    path, made = tmp_path / "z.example.zone", tmp_path / "made" / "z.example.zone"
    made.parent.mkdir()
    path.write_text(HEAD + "\n".join(lines) + "\n", newline="")
    command = [compilezone, "-i", "none", "-k", "ignore", "-n", "ignore", "-r", "ignore", "-S"]
    command += ["ignore", "-s", "full", "-o", str(made), "z.example", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr

    def content(path: Path) -> dict[bytes, object]:
        return {
            owner: sorted((r.rdtype, r.covers, r.ttl, sorted(r.rdatas)) for r in rrsets)
            for owner, rrsets in read_zone(path).nodes.items()
        }

    assert content(made) == content(path)
    assert len(content(path)) == 402
