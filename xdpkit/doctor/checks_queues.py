"""Checks of the queues: which exist, how requests get to them, how long their rings are."""

from __future__ import annotations

from collections.abc import Iterator

from xdpkit._core._limits import WORKER_BATCH
from xdpkit.doctor.finding import (
    Check,
    Finding,
    Wanted,
    comma_separated,
    driver_of,
    has_ntuple,
    rx_queues_in_use,
    shell_name,
)
from xdpkit.doctor.probe import ProbeFacts
from xdpkit.nic.fact import value_of
from xdpkit.nic.os.ethtool_rss import RXH_L4_B_0_1
from xdpkit.nic.os.ethtool_rxnfc import Rule

# Eight batches of the worker's loop: room for what arrives while it handles one.
SHORT_RING = 8 * WORKER_BATCH

# Longer than a sleeping CPU takes to wake up; NICs default to 3 to 64.
LATE_US = 50


def _queues(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    name, used = shell_name(facts), rx_queues_in_use(facts)
    most = facts.link.interface.rx_queues
    if channels := value_of(facts.device.most_channels):
        most = min(most, channels.receiving) or most
    for queue in wanted.queues:
        if queue >= most:
            yield Finding(
                "queue-missing",
                "blocks",
                f"{name} has no RX queue {queue}, only 0..{most - 1}",
                "there is no queue to bind to",
                f"xdpkit.toml: [interface] queues = [{most - 1}]",
            )
        elif queue >= used:
            yield Finding(
                "queue-unused",
                "note",
                f"RX queue {queue} of {name} is not in use, only 0..{used - 1} are",
                "xdpkit run changes the number of queues, and changes it back on exit; on many "
                "NICs the link goes down for a moment each time",
                f"ethtool -L {name} {_channels(facts, queue + 1)}",
            )


def _channels(facts: ProbeFacts, count: int) -> str:
    """The arguments of ethtool -L for this many RX queues."""
    most = value_of(facts.device.most_channels)
    if most is not None and most.combined >= count:
        return f"combined {count}"
    return f"rx {count} tx {count}"


def _steering(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    name, used = shell_name(facts), rx_queues_in_use(facts)
    rules = value_of(facts.device.rules)
    if wanted.steering == "rss" and facts.device.rss is None:
        yield Finding(
            "no-rss",
            "blocks",
            f"{driver_of(facts)} has no RSS table, and steering is rss",
            "requests cannot be steered to the chosen queues",
            'xdpkit.toml: [interface] steering = "auto"',
        )
    if not has_ntuple(facts):
        if wanted.steering == "ntuple":
            yield Finding(
                "no-ntuple",
                "blocks",
                f"{driver_of(facts)} has no rules (ntuple), and steering is ntuple",
                "requests cannot be steered to the chosen queues",
                'xdpkit.toml: [interface] steering = "auto"',
            )
        elif wanted.steering != "rss" and used > max(len(wanted.queues), 1):
            served = len(wanted.queues) or 1
            yield Finding(
                "no-steering",
                "costs",
                f"{driver_of(facts)} has no rules (ntuple): requests spread over {used} RX queues",
                f"with {served} of them chosen, about {served / used:.0%} take the fast path, "
                "and the others the slow path",
                f"xdpkit.toml: [interface] queues = {list(range(used))}",
            )
    elif rules is not None and rules.size and len(rules.rules) >= rules.size:
        yield Finding(
            "rules-full",
            "costs",
            f"all {rules.size} rule locations of {name} are taken",
            "those that steer requests to the chosen queues do not fit: delete unneeded ones "
            f"(ethtool -N {name} delete ID)",
            f"ethtool -n {name}",
        )


def _hashing(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    name = shell_name(facts)
    table = value_of(facts.device.rss)
    slots = set(table.table) if table is not None else set()
    aimed = {rule.cookie for rule in _rules(facts)}
    starved = [queue for queue in wanted.queues if slots and queue not in slots | aimed]
    if starved and not has_ntuple(facts) and wanted.steering != "rss":
        yield Finding(
            "rss-starved",
            "costs",
            f"the RSS table of {name} leaves out queue {comma_separated(starved)}",
            "no requests arrive there",
            f"ethtool -X {name} default",
        )
    # Rules spread clients by address: plan.wanted_rules.
    by_rules = has_ntuple(facts) and wanted.steering in ("auto", "ntuple")
    if "ntp" in wanted.ports and len(wanted.queues) > 1 and not by_rules:
        for family, fields in (
            ("udp4", value_of(facts.device.hash_udp4)),
            ("udp6", value_of(facts.device.hash_udp6)),
        ):
            if fields and fields & RXH_L4_B_0_1:
                yield Finding(
                    "hash-ports",
                    "note",
                    f"{family} packets of one client are spread over the queues by port",
                    "interleaved NTP and rate limits are per queue: spread by address instead",
                    f"ethtool -N {name} rx-flow-hash {family} sd",
                    "https://www.rfc-editor.org/rfc/rfc9109",
                )


def _rules(facts: ProbeFacts) -> list[Rule]:
    rules = value_of(facts.device.rules)
    return list(rules.rules.values()) if rules is not None else []


def _rings(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    name = shell_name(facts)
    rings, coalescing = value_of(facts.device.rings), value_of(facts.device.coalescing)
    if rings is not None and rings.rx < min(SHORT_RING, rings.most_rx):
        yield Finding(
            "ring-short",
            "note",
            f"RX rings have {rings.rx} of at most {rings.most_rx} descriptors",
            "bursts are lost that the server could have answered",
            f"ethtool -G {name} rx {min(2048, rings.most_rx)}",
        )
    if coalescing is not None and coalescing.rx_usecs > LATE_US:
        adaptive = "adaptive-rx off " if coalescing.adaptive_rx else ""
        yield Finding(
            "interrupt-late",
            "costs",
            f"the NIC delays interrupts by up to {coalescing.rx_usecs} us",
            "requests are answered, and timestamped, that much later",
            f"ethtool -C {name} {adaptive}rx-usecs 8",
        )


CHECKS = (
    Check(_queues, "queues", ("device.channels",)),
    Check(_steering, "steering", ("device.rules", "device.features"), has_ntuple),
    Check(_hashing),
    Check(_rings, "rings and interrupts", ("device.rings", "device.coalescing")),
)
