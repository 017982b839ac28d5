"""``bench --floods``: what clients keep of their answers beside a flood, and what the flood gets.

Two servers, with the response rate limits and without, take turns at each flood. The flood comes
from an AF_XDP generator in the name of addresses that it does not have; clients on ordinary sockets
ask beside it.
"""

from __future__ import annotations

import json
import random
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from pyroute2 import IPRoute
from rich.console import Console

from xdpkit._core._loadgen import Generator
from xdpkit.bench import cpu, rows, zones
from xdpkit.bench import testbed as stand
from xdpkit.bench.flood_clients import Group, give_addresses, started
from xdpkit.bench.table import plain
from xdpkit.lab.served import ServedLab
from xdpkit.loadgen.figures import ratio, spreads
from xdpkit.loadgen.queries import query
from xdpkit.loadgen.setup import Load, request_header

ROUNDS = 3
SECONDS = 5.0
# What a client asks a second: below the limit of an address.
CLIENT_RATE = 40
# Turns of the generators of one flood, seconds.
SLICE = 0.1
# Of the flood before anything is counted: it has used up what its prefixes may have at once.
HEAD_START = 1.0
# As many names in turn that do not exist.
NAMES = 1 << 16

ANY, TXT, A = 255, 16, 1
ZONE_WIRE = b"\5bench\7example\0"
# Makes an answer worth asking for: 855 bytes.
BIG = "".join(f'@ TXT "{number}{"x" * 199}"\n' for number in range(4))

# Of the flood's addresses the last prefix is hit in part: neighbours are in what is left of it.
FLOOD_FIRST = "198.18.0.1"
FLOOD_ADDRESSES = 900
VICTIM = "198.18.8.8"
GROUPS = (
    Group("elsewhere", tuple(f"10.77.{n}.10" for n in range(30))),
    Group("elsewhere, cookies", tuple(f"10.78.{n}.10" for n in range(10)), cookies=True),
    Group("neighbours", tuple(f"198.18.3.{200 + n}" for n in range(5))),
    Group("neighbours, cookies", tuple(f"198.18.3.{210 + n}" for n in range(4)), cookies=True),
    Group("victim", (VICTIM,)),
)
# Frames that found the worker too far behind: it had no processor.
NOT_TAKEN = ("rx_dropped", "rx_ring_full", "rx_fill_ring_empty_descs")
LIMITS = {"off": "", "on": "[dns.rrl]\n"}

Say = Callable[[str], None]
Facts = dict[str, Any]


@dataclass(frozen=True)
class Flood:
    """Queries, and the addresses that they seem to come from: (first, how many), in turns."""

    name: str
    queries: Sequence[bytes]
    sources: tuple[tuple[str, int], ...]


def floods() -> tuple[Flood, ...]:
    """What servers meet: names that do not exist; the largest answers, for one victim; and forged
    sources in a few /24s with one victim besides."""
    chance = random.Random(0)
    missing = [query(b"\x0b%011x" % chance.getrandbits(44) + ZONE_WIRE, A) for _ in range(NAMES)]
    # ANY alone gives one set of records (RFC 8482).
    amplified = [query(ZONE_WIRE, rdtype) for rdtype in (ANY, TXT)]
    many, one = (FLOOD_FIRST, FLOOD_ADDRESSES), (VICTIM, 1)
    return (
        Flood("random-subdomain", missing, (many,)),
        Flood("any-txt", amplified, (one,)),
        Flood("spoofed", zones.uniform(zones.SMALL), (many, one)),
    )


def measure(options: Namespace, say: Say) -> Facts:
    """Every flood, with the limits and without, in turns."""
    rounds, seconds = options.rounds or ROUNDS, options.seconds or SECONDS
    found: dict[tuple[str, str], list[Facts]] = {}
    with ExitStack() as stack:
        stands = {}
        for limits, table in LIMITS.items():
            say(f"starting xdpkit, limits {limits}")
            stands[limits] = stack.enter_context(stood(table))
        # The generator keeps its own processor busy: the clients run wherever there is room.
        everywhere = cpu.available()
        with cpu.pinned(cpu.split()[0]):
            for number in range(rounds):
                for flood in floods():
                    for limits, place in stands.items():
                        say(f"round {number + 1} of {rounds}: {flood.name}, limits {limits}")
                        taken = place.run(flood, options.load, seconds, everywhere)
                        found.setdefault((flood.name, limits), []).append(taken)
        mode = next(iter(stands.values())).mode
    made = [row(name, limits, taken) for (name, limits), taken in found.items()]
    wrong = [f"{each['flood']}: {each['wrong']:,} wrong replies" for each in made if each["wrong"]]
    return {
        "mode": mode,
        "rounds": rounds,
        "seconds": seconds,
        "flood_per_s": options.load,
        "clients": {group.name: len(group.addresses) for group in GROUPS},
        "client_per_s": CLIENT_RATE,
        "floods": made,
        "failed": wrong,
    }


def row(name: str, limits: str, taken: list[Facts]) -> Facts:
    """Medians of the rounds' figures, and the sums of what the clients met."""
    clients: dict[str, Facts] = {}
    for group in GROUPS:
        sums = {
            key: sum(each["clients"][group.name][key] for each in taken)
            for key in ("asked", "by_udp", "by_tcp", "wrong")
        }
        clients[group.name] = sums | {"kept": ratio(sums["by_udp"] + sums["by_tcp"], sums["asked"])}
    asked = sum(each["asked"] for each in clients.values())
    answered = sum(each["by_udp"] + each["by_tcp"] for each in clients.values())
    return {
        "flood": name,
        "limits": limits,
        "kept": ratio(answered, asked),
        "wrong": sum(each["wrong"] for each in clients.values()),
        "clients": clients,
        **spreads([each["figures"] for each in taken]),
    }


# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stand:
    """A server, and what sends to it."""

    served: ServedLab
    load: Load
    mode: str
    worker: tuple[int, int]

    def run(self, flood: Flood, rate: int, seconds: float, cpus: Sequence[int]) -> Facts:
        """The flood with the clients beside it; frames and bytes are those of the interface."""
        lab = self.served.lab
        generators = self._generators(flood)
        clients = started(lab, GROUPS, CLIENT_RATE, cpus)
        self._flood(generators, rate, HEAD_START)
        for generator in generators:
            generator.clear()
        before, cpu_before = self.traffic(), cpu.thread_ns(*self.worker)
        begin = time.monotonic()
        self._flood(generators, rate, seconds)
        taken = time.monotonic() - begin
        spent_ns = cpu.thread_ns(*self.worker) - cpu_before
        sent = sum(generator.counters()["sent"] for generator in generators)
        said, _ = clients.communicate()
        for generator in generators:
            generator.finish(0.2, quiet=0.1)
        received, replied, dropped = (
            after - before for after, before in zip(self.traffic(), before, strict=True)
        )
        return {
            "clients": json.loads(said),
            "figures": {
                "offered_per_s": sent / taken,
                "bytes_in": received,
                "bytes_out": replied,
                "amplification": ratio(replied, received),
                "worker_cpu_share": spent_ns / 1e9 / taken,
                "not_taken": dropped,
            },
        }

    def _generators(self, flood: Flood) -> list[Generator]:
        lab = self.served.lab
        macs = (lab.client.interface().mac, lab.server.interface().mac)
        return [
            self.load.generator(
                0,
                "dns",
                request_header(macs, (ip_address(first), ip_address(lab.server.ipv4)), 53),
                queries=flood.queries,
                addresses=count,
                share=(which, len(flood.sources)),
            )
            for which, (first, count) in enumerate(flood.sources)
        ]

    def _flood(self, generators: Sequence[Generator], rate: int, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for generator in generators:
                generator.run(SLICE, rate=rate, window=0)

    def traffic(self) -> tuple[int, int, int]:
        """Bytes of frames that the server's interface received and sent; frames that
        its worker was too far behind to take."""
        lab = self.served.lab
        with IPRoute(netns=lab.server.namespace) as ipr:
            link = ipr.get_links(ipr.link_lookup(ifname=lab.server.ifname)[0])[0]
        counts = link.get_attr("IFLA_STATS64")
        socket = self.served.status()["queues"]["0"]["socket"]
        return counts["rx_bytes"], counts["tx_bytes"], sum(socket[name] for name in NOT_TAKEN)


@contextmanager
def stood(limits: str) -> Iterator[Stand]:
    """A server of ours with the zone of few names. Raises LabError and what Load raises."""
    configuration = rows.configuration(f'[dns]\nzones = "zones"\n{limits}')
    files = {f"zones/{zones.ORIGIN}.zone": zones.zone_text(zones.SMALL) + BIG}
    with ServedLab(configuration, files, 1, str(cpu.split()[1])) as served, ExitStack() as stack:
        give_addresses(served.lab, [address for group in GROUPS for address in group.addresses])
        status = served.status()
        mode = f"{status['mode']}, {'zero-copy' if status['zerocopy'] else 'copy'}"
        worker = (served.pid, status["queues"]["0"]["thread"])
        yield Stand(served, stand.front(served.lab, stack), mode, worker)


# --------------------------------------------------------------------------------------------------


def show(facts: Facts, console: Console) -> None:
    """The facts for a person."""
    clients = sum(facts["clients"].values())
    console.print(
        f"Floods of {facts['flood_per_s']:,} queries/s; beside them {clients} clients at "
        f"{facts['client_per_s']}/s each; {facts['driver']}, {facts['mode']}; Linux "
        f"{facts['kernel']}, {facts['cpu']}; medians of {facts['rounds']} rounds of "
        f"{facts['seconds']:g} s\n"
    )
    console.print(
        plain(
            [
                "flood",
                "limits",
                "offered/s",
                "bytes out/in",
                "worker CPU",
                "not taken",
                "answers kept",
            ],
            [
                [
                    each["flood"],
                    each["limits"],
                    f"{each['offered_per_s']:,.0f}",
                    f"{each['amplification']:.2f}",
                    f"{each['worker_cpu_share']:.0%}",
                    f"{each['not_taken']:,.0f}",
                    f"{each['kept']:.2%}",
                ]
                for each in facts["floods"]
            ],
        )
    )
    console.print()
    console.print(
        plain(
            ["answers kept (over TCP)", "limits", *facts["clients"]],
            [
                [each["flood"], each["limits"], *map(kept, each["clients"].values())]
                for each in facts["floods"]
            ],
        )
    )


def kept(counts: Facts) -> str:
    """A group's share, and how much of it came over TCP."""
    over = ratio(counts["by_tcp"], counts["asked"])
    return f"{counts['kept']:.2%}" + (f" ({over:.0%})" if counts["by_tcp"] else "")
