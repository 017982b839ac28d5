"""What is to be said of queues: which there are, how requests get onto them, how long they are."""

from __future__ import annotations

from collections.abc import Iterator

from xdpkit.doctor.finding import (
    Check,
    Finding,
    Wanted,
    called,
    driver_of,
    has_ntuple,
    listed,
    receiving,
)
from xdpkit.doctor.probe import Facts
from xdpkit.nic.fact import known
from xdpkit.nic.os.ethtool_rss import RXH_L4_B_0_1
from xdpkit.nic.os.ethtool_rxnfc import Rule

# Eight of the loop's batches (cext/xdp/worker.h, WORKER_BATCH): what arrives while it is at one.
SHORT_RING = 512

# Longer than the waking of a sleeping CPU; NIC's defaults are 3 to 64.
LATE_US = 50


def _queues(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    name, used = called(facts), receiving(facts)
    most = facts.link.interface.rx_queues
    if channels := known(facts.device.most_channels):
        most = min(most, channels.receiving) or most
    for queue in wanted.queues:
        if queue >= most:
            yield Finding(
                "queue-missing",
                "blocks",
                f"{name} has no RX queue {queue}, but 0..{most - 1}",
                "there is nothing to open",
                f"xdpkit.toml: [interface] queues = [{most - 1}]",
            )
        elif queue >= used:
            yield Finding(
                "queue-unused",
                "note",
                f"RX queue {queue} of {name} is not in use, only 0..{used - 1} are",
                "xdpkit run changes the number of queues, and back at its end; on many NICs the "
                "link is down for a moment each time",
                f"ethtool -L {name} {_channels(facts, queue + 1)}",
            )


def _channels(facts: Facts, count: int) -> str:
    """The words for ethtool -L for so many RX queues."""
    most = known(facts.device.most_channels)
    if most is not None and most.combined >= count:
        return f"combined {count}"
    return f"rx {count} tx {count}"


def _steering(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    name, used = called(facts), receiving(facts)
    rules = known(facts.device.rules)
    if wanted.steering == "rss" and facts.device.rss is None:
        yield Finding(
            "no-rss",
            "blocks",
            f"{driver_of(facts)} has no RSS table, and steering is rss",
            "requests cannot be brought onto the chosen queues",
            'xdpkit.toml: [interface] steering = "auto"',
        )
    if not has_ntuple(facts):
        if wanted.steering == "ntuple":
            yield Finding(
                "no-ntuple",
                "blocks",
                f"{driver_of(facts)} has no rules (ntuple), and steering is ntuple",
                "requests cannot be brought onto the chosen queues",
                'xdpkit.toml: [interface] steering = "auto"',
            )
        elif wanted.steering != "rss" and used > max(len(wanted.queues), 1):
            served = len(wanted.queues) or 1
            yield Finding(
                "no-steering",
                "costs",
                f"{driver_of(facts)} has no rules (ntuple): requests spread over {used} RX queues",
                f"with {served} of them chosen, about {served / used:.0%} go past the kernel; the "
                "others are answered through it",
                f"xdpkit.toml: [interface] queues = {list(range(used))}",
            )
    elif rules is not None and rules.size and len(rules.rules) >= rules.size:
        yield Finding(
            "rules-full",
            "costs",
            f"all {rules.size} rules of {name} are taken",
            "those that bring requests onto the chosen queues do not fit: delete what nothing "
            f"needs (ethtool -N {name} delete ID)",
            f"ethtool -n {name}",
        )


def _hashing(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    name = called(facts)
    table = known(facts.device.rss)
    slots = set(table.table) if table is not None else set()
    aimed = {rule.cookie for rule in _rules(facts)}
    starved = [queue for queue in wanted.queues if slots and queue not in slots | aimed]
    if starved and not has_ntuple(facts) and wanted.steering != "rss":
        yield Finding(
            "rss-starved",
            "costs",
            f"the RSS table of {name} leaves out queue {listed(starved)}",
            "no request comes in there",
            f"ethtool -X {name} default",
        )
    # Rules spread clients by their addresses: nic.plan, wanted_rules.
    by_rules = has_ntuple(facts) and wanted.steering in ("auto", "ntuple")
    if "ntp" in wanted.ports and len(wanted.queues) > 1 and not by_rules:
        for family, fields in (
            ("udp4", known(facts.device.hash_udp4)),
            ("udp6", known(facts.device.hash_udp6)),
        ):
            if fields and fields & RXH_L4_B_0_1:
                yield Finding(
                    "hash-ports",
                    "note",
                    f"{family} packets of one client spread over the queues by port",
                    "interleaved NTP and rate limits are per queue: better by address",
                    f"ethtool -N {name} rx-flow-hash {family} sd",
                    "https://www.rfc-editor.org/rfc/rfc9109",
                )


def _rules(facts: Facts) -> list[Rule]:
    rules = known(facts.device.rules)
    return list(rules.rules.values()) if rules is not None else []


def _rings(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    name = called(facts)
    rings, coalescing = known(facts.device.rings), known(facts.device.coalescing)
    if rings is not None and rings.rx < min(SHORT_RING, rings.most_rx):
        yield Finding(
            "ring-short",
            "note",
            f"RX rings have {rings.rx} of at most {rings.most_rx} places",
            "a burst is lost that the server could have answered",
            f"ethtool -G {name} rx {min(2048, rings.most_rx)}",
        )
    if coalescing is not None and coalescing.rx_usecs > LATE_US:
        adaptive = "adaptive-rx off " if coalescing.adaptive_rx else ""
        yield Finding(
            "interrupt-late",
            "costs",
            f"the NIC waits up to {coalescing.rx_usecs} us before it interrupts",
            "so much later is a request answered, and stamped",
            f"ethtool -C {name} {adaptive}rx-usecs 8",
        )


CHECKS = (
    Check(_queues, "queues", ("device.channels",)),
    Check(_steering, "steering", ("device.rules", "device.features"), has_ntuple),
    Check(_hashing),
    Check(_rings, "rings and interrupts", ("device.rings", "device.coalescing")),
)
