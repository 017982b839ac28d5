"""What is measured: the rows of the table, and which of our servers answers which rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from xdpkit._core._rrl import RRL_BOUNDS
from xdpkit.bench import zones
from xdpkit.config import InterfaceConfig

ECHO_PORT = 7
# Payload of an NTP reply without extension fields (RFC 5905 figure 8).
NTP_BYTES = 48
# Slows the loop enough that one load generator can offer it twice what it can answer.
SPIN_NS = 5000
# As many as fit into the lab's subnet.
CLIENTS = 250


@dataclass(frozen=True)
class Row:
    """A service's requests, and the name of the row it is compared with, if any.

    ``queries``, ``addresses`` and ``clients`` are as in ``Load.generator``.
    """

    name: str
    service: str
    port: int
    queries: Sequence[bytes] = ()
    echo_bytes: int = NTP_BYTES
    beside: str | None = None
    addresses: int = 1
    clients: int = 0


@dataclass(frozen=True)
class OwnServer:
    """One ``xdpkit`` server: its configuration, the files beside it, the rows it answers."""

    configuration: str
    rows: tuple[Row, ...]
    files: dict[str, str] = field(default_factory=dict)
    arena: Path | None = None
    program: tuple[str, ...] = ("xdpkit", "run", "-c")
    """What Python runs as a module, and the arguments before the configuration's path."""


OWN_NAMES = (
    "echo",
    "echo-dns",
    "echo-spin",
    "xdpkit-ntp",
    "xdpkit-dns-10",
    "xdpkit-dns-rrl",
    "xdpkit-dns-1m",
    "xdpkit-dns-1m-zipf",
)
LARGE_NAMES = ("xdpkit-dns-1m", "xdpkit-dns-1m-zipf")


def configuration(services: str, queues: Sequence[int] = (0,), poll: str | None = None) -> str:
    """Configuration text for the lab's server; ``services`` holds the other tables."""
    lines = ["[interface]", 'name = "server0"', f"queues = {list(queues)}"]
    if poll and has_poll():
        lines.append(f'poll = "{poll}"')
    return "\n".join(lines) + f"\n{services}"


def has_poll() -> bool:
    """Whether this version of xdpkit has the setting for how a worker waits."""
    return any(each.name == "poll" for each in fields(InterfaceConfig))


def echo_row(service: str) -> str:
    """The echo row whose replies have the size of a service's."""
    return "echo-dns" if service == "dns" else "echo"


def row_of(name: str, service: str, port: int) -> Row:
    """The row for a server's NTP, or for its DNS with the small zone."""
    queries = zones.uniform(zones.SMALL) if service == "dns" else ()
    return Row(name, service, port, queries, beside=echo_row(service))


def small() -> OwnServer:
    """Echo, NTP, and DNS with few names."""
    return OwnServer(
        configuration('[ntp]\n[dns]\nzones = "zones"\n[echo]\n'),
        (
            Row("echo", "echo", ECHO_PORT),
            row_of("xdpkit-ntp", "ntp", 123),
            Row("echo-dns", "echo", ECHO_PORT, echo_bytes=zones.reply_bytes()),
            row_of("xdpkit-dns-10", "dns", 53),
        ),
        {f"zones/{zones.ORIGIN}.zone": zones.zone_text(zones.SMALL)},
    )


def limited() -> OwnServer:
    """DNS with few names and RRL, at a rate that no client reaches."""
    config = f'[dns]\nzones = "zones"\n[dns.rrl]\nrate = {RRL_BOUNDS["rate"][1]}\n'
    row = replace(row_of("xdpkit-dns-rrl", "dns", 53), addresses=CLIENTS)
    return OwnServer(configuration(config), (row,), small().files)


def slowed(
    spin_ns: int = SPIN_NS, poll: str | None = None, queues: Sequence[int] = (0,)
) -> OwnServer:
    """The echo service, spinning this long on each packet."""
    return OwnServer(
        configuration(f"[echo]\nspin_ns = {spin_ns}\n", queues, poll),
        (Row("echo-spin", "echo", ECHO_PORT, beside="echo"),),
    )


def large(arena: Path, names: int = zones.LARGE) -> OwnServer:
    """DNS with many names, compiled beforehand."""
    return OwnServer(
        configuration('[dns]\nzones = "zones"\n'),
        tuple(
            Row(name, "dns", 53, queries, beside="echo-dns")
            for name, queries in zip(
                LARGE_NAMES, (zones.uniform(names), zones.popular(names)), strict=True
            )
        ),
        # Makes the directory that the configuration names; the zones come from the arena.
        {"zones/README": ""},
        arena,
    )
