"""DNS messages byte by byte: parts from which tests build valid and invalid ones."""

from __future__ import annotations

import struct

import dns.message

NAME = b"\x01z\x07example\x00"
SOA = NAME + b"\0\6\0\1"
OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
TSIG = b"\0\0\xfa\0\xff\0\0\0\0\0\x2a" + b"\x08hmac-md5\x07sig-alg\x03reg\x03int\0" + bytes(16)


def message(
    body: bytes = SOA,
    flags: int = 0x0100,
    counts: tuple[int, int, int, int] = (1, 0, 0, 0),
) -> bytes:
    return struct.pack(">6H", 0x1234, flags, *counts) + body


def opt(
    size: int = 1232, high: int = 0, version: int = 0, flags: int = 0, data: bytes = b""
) -> bytes:
    return struct.pack(">BHHBBHH", 0, 41, size, high, version, flags, len(data)) + data


def extended_error(code: int) -> bytes:
    """The option of RFC 8914."""
    return option(15, struct.pack(">H", code))


def option(code: int, data: bytes = b"") -> bytes:
    return struct.pack(">HH", code, len(data)) + data


def asking(*options: bytes, question: bytes = SOA, size: int = 1232, **more: int) -> bytes:
    """A question with these EDNS options."""
    return message(question + opt(size, data=b"".join(options), **more), counts=(1, 0, 0, 1))


def options_of(reply: bytes) -> dict[int, bytes]:
    """The EDNS options of a reply, by code."""
    parsed = dns.message.from_wire(reply)
    assert len({each.otype for each in parsed.options}) == len(parsed.options)
    return {int(each.otype): each.to_wire() for each in parsed.options}


def header(reply: bytes) -> tuple[int, int, int, int, int, int]:
    fields: tuple[int, int, int, int, int, int] = struct.unpack(">6H", reply[:12])
    return fields
