"""Which C file may include which: no circles of units, and a room only what is listed for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from checkout import CHECKOUT

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)

# What a room may include besides itself: rooms, or single headers of one.
ROOMS = {
    "ebpf": (),
    "base": (),
    "admit": ("base",),
    # The arena is DNS data: its checks know the wire format, and nothing of requests.
    "zone": ("base", "admit/tags", "dns/rdata", "dns/wire"),
    # What depends on the client is a part of a zone, too.
    "geo": ("base", "zone", "dns/rdata", "dns/wire"),
    "zonefile": ("base",),
    # Snapshot and thread state are put together of the services' parts.
    "runtime": (
        *("ebpf", "base", "admit", "geo/generator"),
        *("dns/counts", "dns/settings", "ntp/counts", "ntp/interleaved", "ntp/keys"),
        "ntp/transmit",
    ),
    "frame": ("base", "runtime/snapshot", "service/request"),
    "ntp": ("base", "runtime", "frame", "service/request"),
    "dns": ("base", "admit", "runtime", "zone", "geo", "service/request"),
    "compile": ("base", "zone", "dns/compose", "dns/rdata", "dns/wire"),
    "service": ("ebpf", "base", "runtime", "ntp/service", "dns/service"),
    # What a capture wants of a packet is no business of the services.
    "capture": ("ebpf", "base", "runtime/stats"),
    "xdp": ("ebpf", "runtime", "frame", "service/answer", "capture/capture"),
    "slowpath": ("ebpf", "base", "runtime", "service/answer", "xdp/worker", "capture/capture"),
    "loadgen": ("base", "runtime/snapshot", "frame/frame", "ntp/ntp", "dns/wire"),
}


def unit(path: Path) -> str:
    """``dns/reply`` of ``cext/dns/reply.c``: a .c file and its .h are one; ``ebpf/steer`` too."""
    inside = path.relative_to(CHECKOUT).with_suffix("")
    return str(inside).removeprefix("cext/")


FILES = [path for room in ("ebpf", "cext") for path in sorted((CHECKOUT / room).rglob("*.[ch]"))]
# The stubs that take the place of kernel headers.
FILES = [path for path in FILES if path.relative_to(CHECKOUT).parts[:2] != ("ebpf", "include")]
UNITS = {unit(path) for path in FILES}


def includes(path: Path) -> set[str]:
    """The units of ours that a file includes, besides its own."""
    found = set()
    for name in INCLUDE.findall(path.read_text()):
        other = name.removesuffix(".h")
        other = other if other in UNITS else f"ebpf/{other}"
        assert other in UNITS, f"{path}: no file of ours is {name}"
        found.add(other)
    return found - {unit(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_a_room_includes_only_what_is_listed(path: Path) -> None:
    room = unit(path).split("/")[0]
    for other in includes(path):
        allowed = {room, *ROOMS[room]}
        assert {other, other.split("/")[0]} & allowed, f"{path} includes {other}"


def test_nothing_is_listed_in_vain() -> None:
    used = {(unit(path).split("/")[0], other) for path in FILES for other in includes(path)}
    used |= {(room, other.split("/")[0]) for room, other in used}
    listed = {(room, other) for room, others in ROOMS.items() for other in others}
    assert not listed - used


def test_no_circle_of_units() -> None:
    known: dict[str, set[str]] = {name: set() for name in UNITS}
    for path in FILES:
        known[unit(path)] |= includes(path)
    # Takes away whatever includes nothing that is left: a circle stays.
    while leaves := {name for name, needs in known.items() if not needs & known.keys()}:
        for name in leaves:
            del known[name]
    assert not known
