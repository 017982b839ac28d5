"""One large zone, signed and not, for ``bench --zones``: until it answers, and the CPU time."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xdpkit.bench import cpu, zones_site
from xdpkit.bench.zones_servers import Running, Server, await_answers, in_lab, memory
from xdpkit.bench.zones_site import Say, Site
from xdpkit.loadgen.figures import spread

# Names, and whether it is signed: a large zone of a registrar's customer, and those of a TLD.
KINDS = ((20_000, True), (1_000_000, False), (1_000_000, True))

# Bytes of a P-256 signature and public key, RFC 6605 section 4. No server verifies its own.
_SIGNATURE_BYTES = 64

# It is at rest once it uses less CPU time than that between two looks, of which there are so many.
IDLE_SECONDS, EVERY_SECONDS, SETTLE = 0.05, 0.5, 60

_SOA = "ns1 host 1 7200 3600 1209600 60"

Facts = dict[str, Any]


class LargeSite(Site):
    """A directory with one zone of many names."""

    def __init__(self, directory: Path, names: int, signed: bool, say: Say) -> None:
        super().__init__(directory, 1, say)
        say(f"writing a zone of {names:,} names")
        with self.path(0).open("w") as file:
            file.writelines(signed_lines(names) if signed else plain_lines(names))


def plain_lines(names: int) -> Iterator[str]:
    """The zone of zones_site, with so many names more."""
    yield zones_site.zone_text()
    for number in range(names):
        yield f"{_host(number)} A {_address(number)}\n"


def signed_lines(names: int) -> Iterator[str]:
    """The same signed, with a chain of NSEC records and signatures that are random bytes."""
    generator = random.Random(1)

    def noise() -> str:
        return base64.b64encode(generator.randbytes(_SIGNATURE_BYTES)).decode()

    def signature(rdtype: str, labels: int, ttl: int) -> str:
        signer = f"12345 {zones_site.name(0)}."
        return f"RRSIG {rdtype} 13 {labels} {ttl} 20361231000000 20260101000000 {signer} {noise()}"

    def rrsets(owner: str, records: Sequence[tuple[str, str]], following: str) -> str:
        labels = 3 if owner != "@" else 2
        types = list(dict.fromkeys(rdtype for rdtype, _ in records))
        lines = [f"{rdtype} {data}" for rdtype, data in records]
        lines += [signature(rdtype, labels, 300) for rdtype in types]
        lines.append(f"60 NSEC {following} {' '.join(types)} RRSIG NSEC")
        lines.append(f"60 {signature('NSEC', labels, 60)}")
        return "".join(f"{owner} {line}\n" for line in lines)

    yield "$TTL 300\n"
    keys = [("DNSKEY", f"{flags} 3 13 {noise()}") for flags in (256, 257)]
    owners = [*map(_host, range(names)), "ns1", "www", "@"]
    yield rrsets("@", [("SOA", _SOA), ("NS", "ns1"), *keys], owners[0])
    for number in range(names):
        yield rrsets(owners[number], [("A", _address(number))], owners[number + 1])
    yield rrsets("ns1", [("A", "192.0.2.1")], "www")
    yield rrsets("www", [("A", zones_site.FIRST)], "@")


def _host(number: int) -> str:
    """In canonical order as in that of their numbers."""
    return f"h{number:07d}"


def _address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def measure(
    servers: Sequence[Server], scratch: Path, rounds: int, most: int, say: Say
) -> list[Facts]:
    """A row for each zone of at most ``most`` names and server; the servers take turns."""
    rows = []
    for names, signed in dict.fromkeys((min(names, most), signed) for names, signed in KINDS):
        directory = scratch / f"large-{names}-{signed}"
        site = LargeSite(directory, names, signed, say)
        taken: dict[str, list[Facts]] = {server.name: [] for server in servers}
        for number in range(rounds):
            for server in servers:
                say(f"{names:,} names, round {number + 1} of {rounds}: {server.name}")
                here = scratch / f"{server.name}-{names}-{signed}-{number}"
                taken[server.name].append(_start(server, site, here, say))
        # Hundreds of megabytes.
        site.path(0).unlink()
        for server in servers:
            row: Facts = {"name": server.name, "names": names, "signed": signed}
            for key in taken[server.name][0]:
                row |= spread(key, [facts[key] for facts in taken[server.name]])
            rows.append(row)
    return rows


def _start(server: Server, site: Site, directory: Path, say: Say) -> Facts:
    with in_lab(server, site, directory) as running:
        begin = running.start()
        seconds = await_answers(running, [0], say) - begin
        used = _cpu_seconds(running)
        return {"first_s": seconds, "cpu_s": used, "resident_bytes": memory(running.pids())}


def _cpu_seconds(running: Running) -> float:
    """What its processes have used, those that have ended included.

    Once nothing is done any more: what is left after the first answer counts, too.
    """
    used = 0.0
    for _ in range(SETTLE):
        before, used = used, cpu.seconds_with_children(running.pids())
        if used - before < IDLE_SECONDS:
            break
        time.sleep(EVERY_SECONDS)
    return used
