"""The line for a person: nothing that a client sends can be more than text in it."""

from __future__ import annotations

import re

import dns.message
import dns.name
from hypothesis import given
from hypothesis import strategies as st

from xdpkit._core._capture import TCP_THREAD, Record
from xdpkit._core._stats import SERVICES, VERDICT_FIRST, VERDICTS
from xdpkit.capture import text

ANSWER = VERDICT_FIRST + [v.name for v in VERDICTS].index("dns_nxdomain")


def record(request: bytes, reply: bytes = b"", outcome: int = ANSWER) -> Record:
    return Record(
        *("tcp", outcome, SERVICES["dns"], TCP_THREAD, 10**18, 10**18 + 12_300),
        *(bytes((192, 0, 2, 1)), 4000, bytes(4), 53, 0, request, reply),
    )


def test_a_line() -> None:
    query = dns.message.make_query("www.example.", "AAAA").to_wire()
    reply = query[:3] + b"\x03" + query[4:]
    [_, *words] = text.line(record(query, reply)).split()
    assert words == [
        *("tcp", "dns", "192.0.2.1:4000", "www.example.", "AAAA", "dns_nxdomain", "NXDOMAIN"),
        *(f"{len(query)}/{len(query)}", "bytes", "12.3", "us"),
    ]


def test_a_label_cannot_write_terminal_codes_quotes_or_lines() -> None:
    name = dns.name.Name([b"\x1b[2J\r\n\"'.\\;`$(\xff x", b""])
    line = text.line(record(dns.message.make_query(name, "A").to_wire()))
    assert line.isascii() and line.isprintable()
    assert r"\027[2J\013\010\034\039\046\092\059\096\036\040\255\032x. A" in line


@given(st.binary(max_size=300), st.binary(max_size=40), st.integers(0, 255))
def test_any_bytes_give_one_line_of_printable_ascii(
    request: bytes, reply: bytes, outcome: int
) -> None:
    line = text.line(record(bytes(5) + b"\1" + request, reply, outcome))
    assert re.fullmatch(r"[ -~]+", line)
