"""``bench --floods``: the share of answers clients keep during a flood, and what the flood gets.

Two servers, with response rate limiting and without, take turns at each flood. The flood comes
from an AF_XDP load generator with spoofed sources; clients on ordinary sockets query alongside.
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
from xdpkit.bench import cpu, rows, testbed, zones
from xdpkit.bench.flood_clients import Group, give_addresses, start_clients
from xdpkit.bench.table import text_table
from xdpkit.lab.served import ServedLab
from xdpkit.loadgen.figures import ratio, spreads
from xdpkit.loadgen.queries import query
from xdpkit.loadgen.setup import Load, request_header

ROUNDS = 3
SECONDS = 5.0
# A client's queries per second: below the limit of an address.
CLIENT_RATE = 40
# How long each load generator of a flood runs before the next one's turn, seconds.
SLICE = 0.1
# Seconds of flood before anything is counted: by then its prefixes have used up their burst.
HEAD_START = 1.0
# Nonexistent names, queried in turn.
NAMES = 1 << 16

ANY, TXT, A = 255, 16, 1
ZONE_WIRE = b"\5bench\7example\0"
# Makes an answer worth an attacker's while: 855 bytes.
BIG = "".join(f'@ TXT "{number}{"x" * 199}"\n' for number in range(4))

# The flood covers its last /24 only in part: the neighbors are in the rest of it.
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
# Frames dropped because the worker had fallen too far behind: it had no CPU.
NOT_TAKEN = ("rx_dropped", "rx_ring_full", "rx_fill_ring_empty_descs")
LIMITS = {"off": "", "on": "[dns.rrl]\n"}

Say = Callable[[str], None]
Facts = dict[str, Any]


@dataclass(frozen=True)
class Flood:
    """Queries, and the spoofed sources they come from in turn: (first, how many)."""

    name: str
    queries: Sequence[bytes]
    sources: tuple[tuple[str, int], ...]


def floods() -> tuple[Flood, ...]:
    """What servers meet: nonexistent names; the largest answers, aimed at one victim; and spoofed
    sources in a few /24s, plus one victim."""
    chance = random.Random(0)
    missing = [query(b"\x0b%011x" % chance.getrandbits(44) + ZONE_WIRE, A) for _ in range(NAMES)]
    # ANY by itself is answered with one RRset (RFC 8482).
    amplified = [query(ZONE_WIRE, rdtype) for rdtype in (ANY, TXT)]
    many, one = (FLOOD_FIRST, FLOOD_ADDRESSES), (VICTIM, 1)
    return (
        Flood("random-subdomain", missing, (many,)),
        Flood("any-txt", amplified, (one,)),
        Flood("spoofed", zones.uniform(zones.SMALL), (many, one)),
    )


def measure(options: Namespace, say: Say) -> Facts:
    """Every flood, with limits and without, in turn."""
    rounds, seconds = options.rounds or ROUNDS, options.seconds or SECONDS
    found: dict[tuple[str, str], list[Facts]] = {}
    with ExitStack() as stack:
        testbeds = {}
        for limits, table in LIMITS.items():
            say(f"starting xdpkit, limits {limits}")
            testbeds[limits] = stack.enter_context(flood_testbed(table))
        # The load generator keeps its own CPU busy: the clients run wherever there is room.
        everywhere = cpu.available()
        with cpu.pinned(cpu.split()[0]):
            for number in range(rounds):
                for flood in floods():
                    for limits, bed in testbeds.items():
                        say(f"round {number + 1} of {rounds}: {flood.name}, limits {limits}")
                        taken = bed.run(flood, options.load, seconds, everywhere)
                        found.setdefault((flood.name, limits), []).append(taken)
        mode = next(iter(testbeds.values())).mode
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
    """Medians of the rounds' figures, and the sums of what became of the clients' queries."""
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
class FloodTestbed:
    """A server, and the load on it."""

    served: ServedLab
    load: Load
    mode: str
    worker: tuple[int, int]

    def run(self, flood: Flood, rate: int, seconds: float, cpus: Sequence[int]) -> Facts:
        """The flood and the clients together; frames and bytes are the interface's counters."""
        lab = self.served.lab
        generators = self._generators(flood)
        clients = start_clients(lab, GROUPS, CLIENT_RATE, cpus)
        self._flood(generators, rate, HEAD_START)
        for generator in generators:
            generator.clear()
        before, cpu_before = self.traffic(), cpu.thread_ns(*self.worker)
        begin = time.monotonic()
        self._flood(generators, rate, seconds)
        taken = time.monotonic() - begin
        spent_ns = cpu.thread_ns(*self.worker) - cpu_before
        sent = sum(generator.counters()["sent"] for generator in generators)
        output, _ = clients.communicate()
        for generator in generators:
            generator.finish(0.2, quiet=0.1)
        received, replied, dropped = (
            after - before for after, before in zip(self.traffic(), before, strict=True)
        )
        return {
            "clients": json.loads(output),
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
        """Bytes that the server's interface received and sent; frames dropped because its worker
        had fallen too far behind."""
        lab = self.served.lab
        with IPRoute(netns=lab.server.namespace) as ipr:
            link = ipr.get_links(ipr.link_lookup(ifname=lab.server.ifname)[0])[0]
        counts = link.get_attr("IFLA_STATS64")
        socket = self.served.status()["queues"]["0"]["socket"]
        return counts["rx_bytes"], counts["tx_bytes"], sum(socket[name] for name in NOT_TAKEN)


@contextmanager
def flood_testbed(limits: str) -> Iterator[FloodTestbed]:
    """One of our servers with the small zone. Raises LabError and what Load raises."""
    configuration = rows.configuration(f'[dns]\nzones = "zones"\n{limits}')
    files = {f"zones/{zones.ORIGIN}.zone": zones.zone_text(zones.SMALL) + BIG}
    with ServedLab(configuration, files, 1, str(cpu.split()[1])) as served, ExitStack() as stack:
        give_addresses(served.lab, [address for group in GROUPS for address in group.addresses])
        status = served.status()
        mode = f"{status['mode']}, {'zero-copy' if status['zerocopy'] else 'copy'}"
        worker = (served.pid, status["queues"]["0"]["thread"])
        yield FloodTestbed(served, testbed.client_load(served.lab, stack), mode, worker)


# --------------------------------------------------------------------------------------------------


def show(facts: Facts, console: Console) -> None:
    """Prints the facts for a human reader."""
    clients = sum(facts["clients"].values())
    console.print(
        f"Floods of {facts['flood_per_s']:,} queries/s, with {clients} ordinary clients at "
        f"{facts['client_per_s']}/s each; {facts['driver']}, {facts['mode']}; Linux "
        f"{facts['kernel']}, {facts['cpu']}; medians of {facts['rounds']} rounds of "
        f"{facts['seconds']:g} s\n"
    )
    console.print(
        text_table(
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
        text_table(
            ["answers kept (over TCP)", "limits", *facts["clients"]],
            [
                [each["flood"], each["limits"], *map(kept_share, each["clients"].values())]
                for each in facts["floods"]
            ],
        )
    )


def kept_share(counts: Facts) -> str:
    """A group's share of answers kept, and how much of it came over TCP."""
    over = ratio(counts["by_tcp"], counts["asked"])
    return f"{counts['kept']:.2%}" + (f" ({over:.0%})" if counts["by_tcp"] else "")
