"""Replies in buffers of exactly the promised size (room), under ASAN and UBSAN.

A frame's buffer is larger than its reply may be, and so is that of the bytes call: neither would
reveal a pointer adjusted, or a record copied, past the end of the reply.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import dns.message
import pytest
from c_programs import sanitized
from dns_bytes_call import HEAD, BytesCall
from dns_fake_signer import fake_signed

# Cases that adjust pointers: wildcards, referrals and denials, for longer questions than they were
# made for; and addresses, with pointers among them, that are left out for lack of room.
PLAIN = (
    HEAD
    + "".join(
        f"*.w MX {i} h{i}.w\nh{i}.w AAAA 2001:db8::{i}\n"
        f"cut NS h{i}.cut\nh{i}.cut A 192.0.2.{i}\ncut NS h{i}.sib\nh{i}.sib A 192.0.2.{i}\n"
        for i in range(14)
    )
    + "sib NS ns1\nns1 A 192.0.2.1\n*.c CNAME x.w\ndn DNAME w\na A 192.0.2.99\n*.a A 192.0.2.98\n"
    + "".join(f'*.t TXT "{i:02}{"t" * (40 + i)}"\n' for i in range(20))
)
NAMES = [
    f"{prefix}.{name}.z.example"
    for name in ("w", "cut", "c", "dn", "t", "a", "nothing")
    for prefix in ("x", "a-longer-name", ".".join(["m" * 40] * 3))
]


@pytest.fixture(scope="module")
def program() -> Path:
    (binary,) = sanitized("dns_exact_test")
    return binary


def asked() -> Iterator[tuple[int, bytes]]:
    """Requests, each with a room that is enough for it."""
    for name in NAMES:
        for rdtype in ("A", "MX", "TXT"):
            for do in (False, True):
                for room in (512, 513, 600, 700, 900, 1232, 1452):
                    edns = {"use_edns": 0, "payload": room, "want_dnssec": do}
                    request = dns.message.make_query(name, rdtype, id=1, **edns)
                    yield room, request.to_wire()
                request = dns.message.make_query(name, rdtype, id=1, use_edns=-1)
                yield 512, request.to_wire()


@pytest.mark.parametrize("signed", ["plain", "nsec", "nsec3"])
def test_nothing_is_touched_past_the_room(program: Path, tmp_path: Path, signed: str) -> None:
    text = PLAIN if signed == "plain" else fake_signed(PLAIN, "z.example", signed == "nsec3")
    call = BytesCall(tmp_path / "zones", {"z.example": text}, max_udp=4096)
    arena = tmp_path / "arena"
    arena.write_bytes(next(iter(call.arenas.values())).view())
    requests = list(asked())
    lines = "".join(f"{room} 4096 {request.hex()}\n" for room, request in requests)
    done = subprocess.run(
        [program, arena], input=lines, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    replies = [bytes.fromhex(line) for line in done.stdout.splitlines()]
    for (room, request), reply in zip(requests, replies, strict=True):
        # The OPT states the server's own maximum, which is more than the room here.
        _, expected = call.send(request)
        assert reply == expected, (room, request.hex())
