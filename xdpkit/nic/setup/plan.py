"""What to change on an interface so that requests reach the chosen queues, and in which order.

Pure: from what the device is (``Facts``) and what the configuration wants (``Wish``) to a ``Plan``.
``steps`` below is the order. It is the one that Firedancer found: a table of RSS that names queues
is in the way of a new number of channels; turning ntuple on makes some drivers (ixgbe) forget the
table; rules added while an AF_XDP socket is bound may not take (i40e), so all of it comes before.

    steering   how requests get onto the chosen queues                         the rest of the box
    ntuple     a rule for each address and port (several queues: for each      RSS leaves our queues
               value of the low bits of the source address)                    out
    rss        RSS leaves all queues but ours out: everything that the         comes over our queues
               interface receives arrives there, and what is not for us is     too: slower, as every
               passed on; only for a NIC without rules, never chosen by itself frame is looked at
    none       they do not: our queues answer the share that RSS brings        as before
               them, the slow path the rest
    auto       ntuple where the driver has it, else none

Not changed: what coalesces interrupts; nor their CPUs unless ``irq_cpus`` names some, as irqbalance
and drivers do that well, and a wrong one is hard to see.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle
from typing import TYPE_CHECKING

from xdpkit.config.address import ServedAddress
from xdpkit.errors import NicError, QueueError
from xdpkit.nic.os.ethtool_rxnfc import Match
from xdpkit.nic.setup import setting
from xdpkit.nic.setup.facts import NTUPLE, Facts
from xdpkit.nic.setup.setting import Value

if TYPE_CHECKING:
    from xdpkit.config import Config

# Offloads that hurt, with the reason.
MERGING = {
    "rx-lro": "it merges packets, and many drivers refuse XDP with it",
    "rx-gro-hw": "the hardware holds packets back to merge them",
    "rx-udp-gro-forwarding": "it merges UDP packets that the slow path shall answer one by one",
}
UNTAGGING = {
    "rx-vlan-hw-parse": "it takes the VLAN tag out of the frame, where we look for it",
    "rx-vlan-stag-hw-parse": "it takes the outer VLAN tag out of the frame",
}

# With defer_irqs: how often an idle queue is polled before its interrupt is turned on again, and
# after how many ns. Of the kernel's xdpsock and DPDK. With them interrupts stay off while we poll
# (linux Documentation/networking/napi.rst). They hold for the kernel's queues as well, which may
# wait as long; only new kernels and few drivers have them for a single queue.
DEFERRAL = {"napi_defer_hard_irqs": 2, "gro_flush_timeout": 200_000}


@dataclass(frozen=True)
class Wish:
    """What the configuration asks of the interface."""

    queues: tuple[int, ...]
    steering: str
    served: tuple[ServedAddress, ...]
    ports: tuple[int, ...]
    defer_irqs: bool = False
    irq_cpus: tuple[int, ...] = ()

    @classmethod
    def of(cls, config: Config, served: list[ServedAddress], steering: str = "") -> Wish:
        """From the configuration, and the addresses that are served now."""
        interface = config.interface
        return cls(
            queues=interface.queues,
            steering=steering or interface.steering,
            served=tuple(served),
            ports=tuple(config.ports().values()),
            defer_irqs=interface.defer_irqs,
            irq_cpus=interface.irq_cpus,
        )


@dataclass(frozen=True)
class Step:
    """One setting and the value that it shall have; done only where it has another."""

    setting: str
    value: Value
    why: str


@dataclass(frozen=True)
class Plan:
    """The steps in their order, the steering that they make, and what else is to be said."""

    steering: str
    steps: tuple[Step, ...]
    notes: tuple[str, ...]


def plan(facts: Facts, wish: Wish) -> Plan:
    """Raises QueueError, and NicError where the driver has not what was asked for."""
    channels = wanted_channels(facts, wish)
    count = _receiving(facts, wish, channels)
    steering, why = choose(facts, wish, count)
    notes = [f"steering {steering}: {why}"]
    for name in {**MERGING, **(UNTAGGING if _is_tagged(wish) else {})}:
        feature = facts.features.get(name)
        if feature and feature.on and not feature.changeable:
            notes.append(f"{name} of {facts.name} is on and cannot be turned off")
    return Plan(steering, tuple(steps(facts, wish, steering, channels, count)), tuple(notes))


def steps(facts: Facts, wish: Wish, steering: str, channels: Value, count: int) -> Iterator[Step]:
    """The order of all changes; they are undone in the reverse order."""
    rules = wanted_rules(wish) if steering == "ntuple" else {}
    weights = _weights(facts, wish, steering, count)
    upset = channels != _present(facts) or (steering == "ntuple" and not facts.features[NTUPLE].on)
    if upset and facts.rss is not None and steering != "none":
        yield Step(setting.RSS, setting.DEFAULT, "the next steps would upset a table of one's own")
    if channels:
        yield Step(setting.CHANNELS, channels, "the chosen queues must be in use")
    for match in stale_rules(facts, rules):
        yield Step(setting.rule(match), None, "it takes our requests elsewhere")
    if steering == "ntuple":
        yield Step(setting.feature(NTUPLE), True, "so that the driver steers by rules")
    if weights:
        why = "the kernel's traffic shall not come over our queues"
        if steering == "rss":
            why = "all traffic shall come over our queues"
        yield Step(setting.RSS, {"weights": weights}, why)
    for match, queue in rules.items():
        yield rule_step(match, queue)
    for name, why in {**MERGING, **(UNTAGGING if _is_tagged(wish) else {})}.items():
        if name in facts.features and facts.features[name].changeable:
            yield Step(setting.feature(name), False, why)
    for queue, cpu in zip(wish.queues, cycle(wish.irq_cpus)):
        why = f"irq_cpus has queue {queue} interrupt CPU {cpu}"
        yield Step(setting.interrupt(queue), {"cpus": str(cpu), "irq": None}, why)
    for name, number in DEFERRAL.items() if wish.defer_irqs else ():
        if name in facts.napi:
            yield Step(name, number, "interrupts stay off while we poll")


def choose(facts: Facts, wish: Wish, count: int) -> tuple[str, str]:
    """The steering that is to be had, and why. Raises NicError where it is not what was asked."""
    driver = f"the driver of {facts.name} ({facts.driver or 'it has no name'})"
    ours = ", ".join(map(str, wish.queues))
    all_ours = set(range(count)) <= set(wish.queues)
    if wish.steering == "ntuple" and not facts.has_ntuple:
        hint = ' or "rss"' if facts.rss else ""
        raise NicError(f'steering = "ntuple": {driver} has no such rules: write "auto"{hint}')
    if wish.steering == "rss" and facts.rss is None:
        raise NicError(f'steering = "rss": {driver} has no table for RSS: write "auto"')
    if wish.steering == "none":
        return "none", "as configured"
    if wish.steering == "rss":
        return "rss", f"all that {facts.name} receives comes over queue {ours}"
    if wish.steering == "auto" and all_ours:
        return "none", f"all RX queues of {facts.name} are taken"
    if facts.has_ntuple:
        return "ntuple", f"rules of the NIC bring requests to queue {ours}"
    return "none", (
        f"{driver} has no rules (ntuple); requests on other queues than {ours} are not bypassed"
    )


def wanted_channels(facts: Facts, wish: Wish) -> Value:
    """As many as the chosen queues need, or as there are; None where the driver has no say."""
    now, most = facts.channels, facts.most_channels
    if now is None or most is None:
        return None
    needed = max(wish.queues) + 1
    wanted = asdict(now)
    if now.receiving < needed and most.combined:
        wanted["combined"] = needed - now.rx
    elif now.receiving < needed:
        wanted["rx"] = needed
        wanted["tx"] = max(now.tx, min(needed, most.tx))
    if wanted["combined"] > most.combined or wanted["rx"] > most.rx:
        raise QueueError(
            f"{facts.name} has no RX queue {max(wish.queues)}: its driver has "
            f"{max(most.rx, most.combined)} at most (ethtool -l {facts.name}), so set [interface] "
            "queues to lower ones"
        )
    return wanted


def wanted_rules(wish: Wish) -> dict[Match, int]:
    """A queue for each match: several queues share an address and port by the source address.

    By the address and never by the port: what a worker knows of a client (rate limit, interleaved
    times) is that worker's alone. Of a number of queues that is no power of two the first get
    twice as much as the others.
    """
    mask = (1 << (len(wish.queues) - 1).bit_length()) - 1
    addresses = dict.fromkeys(served.address for served in wish.served)
    return {
        Match(address, port, low, mask): wish.queues[low % len(wish.queues)]
        for address in addresses
        for port in wish.ports
        for low in range(mask + 1)
    }


def rule_step(match: Match, queue: int) -> Step:
    """A rule that brings requests to a queue."""
    value = {"queue": queue, "location": None}
    return Step(setting.rule(match), value, f"requests for port {match.port} to queue {queue}")


def stale_rules(facts: Facts, wanted: dict[Match, int]) -> list[Match]:
    """Rules that are there, for requests that we want, and not as we want them.

    A run that left no journal behind, or somebody's hand.
    """
    there = facts.rules.rules.values() if facts.rules else ()
    ours = {(match.destination, match.port) for match in wanted}
    found = []
    for rule in there:
        match = Match.of(rule.flow)
        if match and (match.destination, match.port) in ours and wanted.get(match) != rule.cookie:
            found.append(match)
    return found


def _weights(facts: Facts, wish: Wish, steering: str, count: int) -> list[int]:
    """Of each queue's share of RSS; empty where the table stays as it is."""
    if facts.rss is None or steering == "none":
        return []
    weights = [int((queue in wish.queues) == (steering == "rss")) for queue in range(count)]
    return weights if 0 < sum(weights) < count else []


def _receiving(facts: Facts, wish: Wish, channels: Value) -> int:
    """RX queues after the change."""
    return channels["rx"] + channels["combined"] if channels else max(wish.queues) + 1


def _present(facts: Facts) -> Value:
    return asdict(facts.channels) if facts.channels else None


def _is_tagged(wish: Wish) -> bool:
    return any(served.outer for served in wish.served)
