"""What the compiler refuses, and what it does with zones that no reader should have let through."""

from __future__ import annotations

import base64
import errno
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from dns_bytes_call import HEAD
from dns_fake_signer import fake_signed

from xdpkit._core._rrset import RRset
from xdpkit._core._zones import ZoneArena
from xdpkit.errors import ZoneError
from xdpkit.services.dns.compiler.zone_arena import compile_zone
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.zone import MX, SOA, A, Zone

SIGNATURE = "13 2 60 20300101000000 20200101000000 1 z."


def read(directory: Path, text: str) -> Zone:
    """The zone z of this text."""
    path = directory / "z.zone"
    path.write_text(text)
    return read_zone(path)


def compiled(zone: Zone) -> bytes:
    with tempfile.TemporaryFile() as out:
        size = compile_zone(zone, out.fileno())
        return os.pread(out.fileno(), size, 0)


def test_a_proof_that_no_message_holds(tmp_path: Path) -> None:
    """An NSEC and its signatures, each of which fits one."""
    types = " ".join(f"TYPE{256 * window + 255}" for window in range(1, 120))
    lines = fake_signed(HEAD + "a A 192.0.2.1\n", "z").splitlines()
    lines = [line.replace("A RRSIG NSEC", f"A RRSIG NSEC {types}") for line in lines]
    for number in range(158):
        digest = base64.b64encode(number.to_bytes(2, "big") + bytes(376)).decode()
        lines.append(f"a.z. 60 RRSIG NSEC {SIGNATURE} {digest}")
    zone = read(tmp_path, "\n".join([*lines, ""]))
    with pytest.raises(ZoneError, match=r"the NSEC of a\.z and its signatures have more bytes"):
        compiled(zone)


def test_a_reply_that_no_message_holds(tmp_path: Path) -> None:
    """Each RRset fits; the servers of a delegation with their addresses do not."""
    glue = [
        f"cut NS h{n}.cut\nh{n}.cut A 10.{n}.{host // 250}.{host % 250}\n"
        for n in range(20)
        for host in range(250)
    ]
    zone = read(tmp_path, HEAD + "".join(glue))
    with pytest.raises(ZoneError, match=r"z.zone:4: the reply for cut.z has \d+ bytes, more than"):
        compiled(zone)


def test_more_addresses_than_a_reply_holds_are_left_out(tmp_path: Path) -> None:
    """Many names lead to a host whose addresses fit no reply with them: it costs little."""
    hosts = "".join(f"h A 10.0.{n // 250}.{n % 250}\nh AAAA 2001:db8::{n:x}\n" for n in range(2000))
    zone = read(tmp_path, HEAD + hosts + "".join(f"m{n} MX 1 h\n" for n in range(300)))
    arena = compiled(zone)
    assert len(arena) < 200_000
    ZoneArena(arena)


@pytest.mark.parametrize(
    "name, rdtype, rdata",
    [
        (b"\1a\1z\0", MX, b"\0\1\77too short"),
        (b"\1a\1z\0", MX, b"\0"),
        (b"\1a\1z\0", MX, b""),
        (b"\1a\1z\0", MX, b"\0\1\xc0\x0c"),
        (b"\1a\1z\0", MX, b"\0\1" + b"\1x" * 127 + b"\1y\0"),
        (b"\1a\1z\0", SOA, b"\1a\0\77b"),
        (b"\1a\1z\0", 16, bytes(65536)),
        (b"\1a\1y\0", A, bytes(4)),
        (b"\4a\1z\0", A, bytes(4)),
        (b"\1a\1z", A, bytes(4)),
        (b"", A, bytes(4)),
        (b"\1x" * 127 + b"\1z\0", A, bytes(4)),
    ],
)
def test_what_no_reader_lets_through(
    tmp_path: Path, name: bytes, rdtype: int, rdata: bytes
) -> None:
    """An error of the zone, not the end of the process."""
    zone = read(tmp_path, HEAD)
    zone.nodes[name] = [RRset(rdtype, 0, 60, "z.zone", 9, [rdata])]
    with pytest.raises(ZoneError, match="cannot be compiled"):
        compiled(zone)


def test_any_bytes_as_records_give_a_sound_arena_or_an_error(tmp_path: Path) -> None:
    chance = random.Random(1)
    names = [b"\1*\1a\1z\0", b"\1a\1z\0", b"\1b\1a\1z\0", b"\1z\0", b"\1A\1z\0", b"\3out\0"]
    types = [1, 2, 5, 6, 12, 14, 15, 28, 33, 39, 43, 46, 47, 50, 51, 64, 65280]
    sound = 0
    for _ in range(1500):
        zone = read_zone(tmp_path / "z.zone") if sound else read(tmp_path, HEAD)
        for _ in range(chance.randrange(6)):
            rdata = chance.choice([chance.randbytes(chance.randrange(40)), chance.choice(names)])
            covers = chance.choice(types) if chance.randrange(2) else 0
            rrset = RRset(chance.choice(types), covers, 60, "z.zone", 9, [rdata])
            zone.nodes.setdefault(chance.choice(names[:4]), []).append(rrset)
        try:
            arena = compiled(zone)
        except ZoneError:
            continue
        try:
            ZoneArena(arena)
        except ValueError:
            # The server refuses a CNAME or DNAME that leads nowhere.
            assert any(rrset.rdtype in (5, 39) for found in zone.nodes.values() for rrset in found)
        sound += 1
    assert sound > 300


def test_a_file_that_is_full(tmp_path: Path) -> None:
    zone = read(tmp_path, HEAD)
    with (
        Path("/dev/full").open("wb") as full,
        pytest.raises(OSError, match=os.strerror(errno.ENOSPC)),
    ):
        compile_zone(zone, full.fileno())


LIMITED = """
import os, resource, sys
from pathlib import Path
from xdpkit.services.dns.compiler.zone_arena import compile_zone
from xdpkit.services.dns.zonefile.read import read_zone
zone = read_zone(Path(sys.argv[1]))
which, most = getattr(resource, sys.argv[2]), int(sys.argv[3])
if which == resource.RLIMIT_AS:
    most += int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(which, (most, most))
try:
    compile_zone(zone, os.memfd_create("out"))
except (MemoryError, OSError) as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(
    "limit, most, error", [("RLIMIT_AS", 3 << 20, "MemoryError"), ("RLIMIT_FSIZE", 9999, "OSError")]
)
def test_what_the_process_may_not_have(tmp_path: Path, limit: str, most: int, error: str) -> None:
    """An arena of six megabytes, in a process that may have less."""
    if limit == "RLIMIT_AS" and "libasan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("ASAN ends the process itself when an allocation fails")
    big = f"TYPE65280 \\# 60000 {'ab' * 60000}"
    read(tmp_path, HEAD + "".join(f"b{n} {big}\n" for n in range(100)))
    command = [sys.executable, "-P", "-c", LIMITED, str(tmp_path / "z.zone"), limit, str(most)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{error}\n"
