"""The blocks of a pcapng file around its packets, which ``cext/capture/pcapng.c`` writes.

draft-ietf-opsawg-pcapng: a Section Header, an Interface Description for each answering thread, and
at the end Interface Statistics. Written here, since the library that there is (python-pcapng) makes
a Python object of every packet; these are four blocks.
"""

from __future__ import annotations

import platform
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xdpkit import __version__

ETHERNET = 1
"""LINKTYPE_ETHERNET."""
RAW_IP = 101
"""LINKTYPE_RAW: the packet begins with an IP header."""

_SECTION_HEADER = 0x0A0D0D0A
_INTERFACE_DESCRIPTION = 1
_INTERFACE_STATISTICS = 5
_MAGIC = 0x1A2B3C4D
_NANOSECONDS = 9
# Nothing is cut: the longest is a segment of TCP with its headers.
_SNAP_LENGTH = 0


@dataclass(frozen=True)
class Interface:
    """One of the file's interfaces: an answering thread."""

    name: str
    description: str
    link_type: int


def header(interfaces: Iterable[Interface]) -> bytes:
    """What a file begins with."""
    section = _options((3, platform.release().encode()), (4, f"xdpkit {__version__}".encode()))
    fixed = struct.pack("=IHHq", _MAGIC, 1, 0, -1)
    return _block(_SECTION_HEADER, fixed + section) + b"".join(map(_description, interfaces))


def statistics(number: int, counts: Mapping[str, int], now_ns: int) -> bytes:
    """What a file ends with, for one interface: packets seen, wanted and lost."""
    fixed = struct.pack("=III", number, now_ns >> 32, now_ns & 0xFFFFFFFF)
    values = ((4, counts["seen"]), (5, counts["lost"]), (6, counts["matched"]))
    options = _options(*((code, struct.pack("=Q", value)) for code, value in values))
    return _block(_INTERFACE_STATISTICS, fixed + options)


def _description(interface: Interface) -> bytes:
    options = _options(
        (2, interface.name.encode()),
        (3, interface.description.encode()),
        (9, bytes((_NANOSECONDS,))),
    )
    fixed = struct.pack("=HHI", interface.link_type, 0, _SNAP_LENGTH)
    return _block(_INTERFACE_DESCRIPTION, fixed + options)


def _options(*options: tuple[int, bytes]) -> bytes:
    parts = [struct.pack("=HH", code, len(value)) + _padded(value) for code, value in options]
    return b"".join([*parts, bytes(4)])


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("=I", len(body) + 12)
    return struct.pack("=I", kind) + length + body + length
