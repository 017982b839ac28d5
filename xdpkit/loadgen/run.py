"""``xdpkit blast``: sends requests for one service; checks and times every reply."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from pyroute2 import IPRoute
from rich.console import Console

from xdpkit._core._loadgen import Generator
from xdpkit._core._requests import Requests
from xdpkit.config.address import Address
from xdpkit.errors import UsageError
from xdpkit.loadgen import queries, target
from xdpkit.loadgen.figures import latencies_us, ratio
from xdpkit.loadgen.setup import PORTS, Load, request_header

# How long to wait for the last replies, and how often to report progress, in seconds.
LAST_REPLIES = 1.0
SLICE = 0.25

# Default --window when there is no --rate, and default --clients.
WINDOW = 1024


def main(options: Namespace) -> int:
    """Sends and reports; returns 1 if a reply was wrong or none came. Raises XdpkitError."""
    endpoint, permitted = destination(options)
    first = None
    if options.source:
        first = target.first_address(options.source, options.addresses, endpoint[0])
    mac = target.parse_mac(options.to_mac) if options.to_mac else None
    payloads = dns_queries(options)
    clients = interleaved_clients(options)
    found = target.find(options.interface, endpoint, mac=mac, first=first, permitted=permitted)
    if first is None:
        target.check_sources(found.source, options.addresses, subnets(found), found.address)
    header = request_header(
        (found.interface.mac, found.mac), (found.source, found.address), found.port, options.vlan
    )
    console = Console(stderr=True, highlight=False)
    with Load(found.interface, [options.queue], stamps=clients > 0) as load:
        generator = load.generator(
            options.queue,
            options.service,
            header,
            queries=payloads,
            echo_bytes=options.bytes,
            ports=options.ports,
            addresses=options.addresses,
            clients=clients,
        )
        seconds = send(generator, options, console)
        socket = load.sockets[options.queue].statistics()
    facts = facts_of(generator, seconds) | {
        "service": options.service,
        "interface": found.interface.name,
        "to": f"{found.address}",
        "port": found.port,
        "socket": socket,
    }
    if clients:
        facts["interleaved"] = interleaved_facts(generator)
    print(json.dumps(facts, indent=2) if options.json else "\n".join(lines(facts)))
    return verdict(facts)


def destination(options: Namespace) -> tuple[tuple[Address, int], bool]:
    """((address, port), whether it was given with --yes-send-to). Raises UsageError."""
    if not options.interface:
        raise UsageError(
            "--interface is missing: blast is meant for a lab and sends through the veth or "
            "macvlan you name (ip netns exec NAMESPACE xdpkit blast ...)"
        )
    port = target.PORT[options.service]
    version = options.version
    yes = options.yes_send_to
    permitted = target.parse_endpoint(yes, version, port) if yes else None
    if not options.to:
        if permitted is None:
            raise UsageError("--to is missing: the server's address, ADDR or ADDR:PORT")
        return permitted, True
    endpoint = target.parse_endpoint(options.to, version, port)
    if permitted and permitted[0] != endpoint[0]:
        raise UsageError(f"--yes-send-to {yes} is not --to {options.to}: name the same address")
    return endpoint, permitted is not None


def dns_queries(options: Namespace) -> list[bytes]:
    """The DNS queries that the options name, in random order. Raises UsageError, ConfigError."""
    if options.service != "dns":
        if options.queries or options.zone:
            raise UsageError(f"--queries and --zone are for dns, not for {options.service}")
        return []
    if bool(options.queries) == bool(options.zone):
        raise UsageError("dns needs names to query: give either --queries FILE or --zone FILE")
    if options.queries:
        return queries.draw(queries.from_file(options.queries))
    return queries.draw(queries.from_zone(options.zone))


def interleaved_clients(options: Namespace) -> int:
    """How many interleaved-mode clients to simulate; 0: none. Raises UsageError."""
    if not options.interleaved:
        if options.clients:
            raise UsageError("--clients is for ntp --interleaved")
        return 0
    if options.service != "ntp":
        raise UsageError(f"--interleaved is for ntp, not for {options.service}")
    return int(options.clients or options.window or WINDOW)


def subnets(found: target.Target) -> list[str]:
    """The addresses of the interface with their prefix lengths."""
    with IPRoute() as ipr:
        return [
            f"{message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}"
            for message in ipr.get_addr(index=found.interface.index)
            if ip_address(message.get_attr("IFA_ADDRESS")).version == found.address.version
        ]


def send(generator: Generator, options: Namespace, console: Console) -> float:
    """Sends for the given time or count, showing progress; returns the seconds taken.

    Ctrl-C ends it early, and the report still follows.
    """
    # A rate alone is an open loop: unanswered requests do not hold back further ones.
    window = options.window or (0 if options.rate else WINDOW)
    begin = time.monotonic()
    with console.status("") as status, suppress(KeyboardInterrupt):
        # Start timing here: the live display imports modules of its own.
        begin = time.monotonic()
        end = begin + options.seconds
        while (left := end - time.monotonic()) > 0:
            generator.run(
                min(left, SLICE),
                count=options.count or 0,
                rate=options.rate or 0,
                window=window,
                resume=generator.counters()["sent"] > 0,
            )
            counters = generator.counters()
            taken = time.monotonic() - begin
            status.update(
                f"{taken:4.1f} s  {counters['sent']:,} sent  {counters['answered']:,} answered  "
                f"{counters['answered'] / taken:,.0f}/s  {counters['wrong']:,} wrong"
            )
            if options.count and counters["sent"] >= options.count:
                break
    seconds = time.monotonic() - begin
    generator.finish(LAST_REPLIES)
    return seconds


def facts_of(generator: Generator, seconds: float) -> dict[str, Any]:
    """The results; latencies are in microseconds."""
    counters = generator.counters()
    del counters["open"]
    return {
        **counters,
        "seconds": seconds,
        "sent_per_s": counters["sent"] / seconds,
        "answers_per_s": counters["answered"] / seconds,
        "latency_us": latencies_us(generator.latency_ns),
    }


def interleaved_facts(generator: Requests) -> dict[str, Any]:
    """Replies by mode, and the time from the reported transmit time to the arrival."""
    counters = generator.interleaved()
    return {
        **counters,
        "share": ratio(counters["interleaved"], counters["interleaved"] + counters["basic"]),
        "underway_us": {"min": generator.underway_ns(0.0) / 1e3}
        | latencies_us(generator.underway_ns),
    }


def lines(facts: dict[str, Any]) -> list[str]:
    """The results as lines of text."""
    counts = ", ".join(
        f"{facts[name]:,} {name}" for name in ("answered", "wrong", "lost", "duplicate", "late")
    )
    report = [
        f"{facts['service']} to {facts['to']} port {facts['port']}: {facts['sent']:,} sent in "
        f"{facts['seconds']:.2f} s, {counts}",
        f"answers/s  {facts['answers_per_s']:,.0f}",
        f"latency/us {percentiles(facts['latency_us'])}",
    ]
    if modes := facts.get("interleaved"):
        report += [
            f"interleaved {modes['interleaved']:,}, basic {modes['basic']:,}: {modes['clients']:,} "
            f"clients, {modes['share']:.4f} of the replies interleaved",
            f"transmit time to arrival/us {percentiles(modes['underway_us'])}",
            f"reported transmit time of a basic reply vs. its transmit timestamp: later "
            f"{modes['later']:,}, same {modes['same']:,}, earlier {modes['earlier']:,}",
        ]
    return report


def percentiles(figures: dict[str, float]) -> str:
    """Names and figures on one line."""
    return "  ".join(
        f"{name.replace('p99_9', 'p99.9')} {value:,.1f}" for name, value in figures.items()
    )


def verdict(facts: dict[str, Any]) -> int:
    """The exit status; if it is 1, prints why."""
    if facts["wrong"]:
        print(f"xdpkit: {facts['wrong']:,} replies were wrong", file=sys.stderr)
        return 1
    if not facts["answered"]:
        print(
            f"xdpkit: no reply from {facts['to']} port {facts['port']}: is a server running there?",
            file=sys.stderr,
        )
        return 1
    return 0


def check_numbers(options: Namespace) -> None:
    """Raises UsageError for numbers out of range."""
    bounds = {
        "rate": (1, 10**9),
        "seconds": (0.001, 10**6),
        "count": (1, 2**63),
        "ports": (1, PORTS),
        "addresses": (1, 2**24),
        "window": (1, 65536),
        "clients": (1, 65536),
        "queue": (0, 255),
        "bytes": (8, 512),
    }
    for name, (least, most) in bounds.items():
        value = getattr(options, name)
        if value is not None and not least <= value <= most:
            raise UsageError(f"--{name} {value}: from {least} to {most}")
    if options.rate and options.max:
        raise UsageError("--rate and --max exclude each other: give only one")
