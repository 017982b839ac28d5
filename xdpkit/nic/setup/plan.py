"""What to change on an interface so that requests reach the chosen queues, and in which order.

Pure: maps the device's state (``NicFacts``) and what is configured (``Wish``) to a ``Plan``.
``steps`` below defines the order, which is Firedancer's: an RSS table that names queues blocks a
change to the number of channels; turning ntuple on makes some drivers (ixgbe) forget the table;
rules added while an AF_XDP socket is bound may not take effect (i40e), so all of it comes first.

    steering   how requests get to the chosen queues                           other traffic
    ntuple     a rule for each address and port (several queues: for each      RSS keeps it off our
               value of the low bits of the source address)                    queues
    rss        RSS uses our queues only: everything that the interface         on our queues, too:
               receives arrives there, and the XDP program passes what is      slower, as each frame
               not for us to the kernel; for NICs without rules, never chosen  goes through XDP code
               by "auto"
    none       not at all: our queues answer the share that RSS sends them,    as before
               and the slow path the rest
    auto       ntuple where the driver supports it, else none

Not changed: interrupt coalescing; nor the interrupts' CPUs unless ``irq_cpus`` names some, as
irqbalance and drivers do that well, and a wrong choice is hard to notice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle
from typing import TYPE_CHECKING

from xdpkit.config.address import ServedAddress
from xdpkit.errors import NicError, QueueError
from xdpkit.nic.os.ethtool_rxnfc import FlowMatch
from xdpkit.nic.setup import setting
from xdpkit.nic.setup.facts import NTUPLE, NicFacts
from xdpkit.nic.setup.setting import Value

if TYPE_CHECKING:
    from xdpkit.config import Config

# Offloads that hurt, and why.
MERGING = {
    "rx-lro": "it merges packets, and many drivers refuse XDP with it",
    "rx-gro-hw": "the hardware holds packets back to merge them",
    "rx-udp-gro-forwarding": "it merges UDP packets that the slow path must answer one by one",
}
UNTAGGING = {
    "rx-vlan-hw-parse": "it strips the VLAN tag from the frame, where we look for it",
    "rx-vlan-stag-hw-parse": "it strips the outer VLAN tag from the frame",
}

# With defer_irqs: how often an idle queue is polled before its interrupt is re-enabled, and after
# how many ns; values from the kernel's xdpsock and DPDK. They keep interrupts off while we poll
# (Linux Documentation/networking/napi.rst). They apply to the kernel's queues as well, which may
# be delayed as long; only new kernels and few drivers have them per queue.
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
        """From the configuration and the addresses served now."""
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
    """One setting and its wanted value; applied only where the current one differs."""

    setting: str
    value: Value
    why: str


@dataclass(frozen=True)
class Plan:
    """The steps in order, the steering that they set up, and notes for the operator."""

    steering: str
    steps: tuple[Step, ...]
    notes: tuple[str, ...]


def plan(facts: NicFacts, wish: Wish) -> Plan:
    """Raises QueueError, and NicError where the driver lacks what was configured."""
    channels = wanted_channels(facts, wish)
    count = _receiving(facts, wish, channels)
    steering, why = choose_steering(facts, wish, count)
    notes = [f"steering {steering}: {why}"]
    for name in {**MERGING, **(UNTAGGING if _is_tagged(wish) else {})}:
        feature = facts.features.get(name)
        if feature and feature.on and not feature.changeable:
            notes.append(f"{name} of {facts.name} is on and cannot be turned off")
    return Plan(steering, tuple(steps(facts, wish, steering, channels, count)), tuple(notes))


def steps(
    facts: NicFacts, wish: Wish, steering: str, channels: Value, count: int
) -> Iterator[Step]:
    """All changes in order; they are undone in reverse."""
    rules = wanted_rules(wish) if steering == "ntuple" else {}
    weights = _weights(facts, wish, steering, count)
    conflict = channels != _present(facts) or (
        steering == "ntuple" and not facts.features[NTUPLE].on
    )
    if conflict and facts.rss is not None and steering != "none":
        yield Step(setting.RSS, setting.DEFAULT, "the next steps conflict with a custom table")
    if channels:
        yield Step(setting.CHANNELS, channels, "the chosen queues must be in use")
    for match in stale_rules(facts, rules):
        yield Step(setting.rule(match), None, "it steers our requests elsewhere")
    if steering == "ntuple":
        yield Step(setting.feature(NTUPLE), True, "so that the driver steers by rules")
    if weights:
        why = "to keep the kernel's traffic off our queues"
        if steering == "rss":
            why = "to send all traffic to our queues"
        yield Step(setting.RSS, {"weights": weights}, why)
    for match, queue in rules.items():
        yield rule_step(match, queue)
    yield from _features_off(facts, MERGING)
    yield from untagging_steps(facts, wish)
    for queue, cpu in zip(wish.queues, cycle(wish.irq_cpus)):
        why = f"irq_cpus: queue {queue} interrupts CPU {cpu}"
        yield Step(setting.interrupt(queue), {"cpus": str(cpu), "irq": None}, why)
    for name, number in DEFERRAL.items() if wish.defer_irqs else ():
        if name in facts.napi:
            yield Step(name, number, "interrupts stay off while we poll")


def choose_steering(facts: NicFacts, wish: Wish, count: int) -> tuple[str, str]:
    """The available steering, and why. Raises NicError if it is not the configured one."""
    driver = f"the driver of {facts.name} ({facts.driver or 'unnamed'})"
    ours = ", ".join(map(str, wish.queues))
    all_ours = set(range(count)) <= set(wish.queues)
    if wish.steering == "ntuple" and not facts.has_ntuple:
        hint = ' or "rss"' if facts.rss else ""
        raise NicError(f'steering = "ntuple": {driver} has no such rules: set "auto"{hint}')
    if wish.steering == "rss" and facts.rss is None:
        raise NicError(f'steering = "rss": {driver} has no RSS table: set "auto"')
    if wish.steering == "none":
        return "none", "as configured"
    if wish.steering == "rss":
        return "rss", f"all that {facts.name} receives arrives on queue {ours}"
    if wish.steering == "auto" and all_ours:
        return "none", f"all RX queues of {facts.name} are ours"
    if facts.has_ntuple:
        return "ntuple", f"rules in the NIC steer requests to queue {ours}"
    return "none", (
        f"{driver} has no rules (ntuple); requests on queues other than {ours} take the slow path"
    )


def wanted_channels(facts: NicFacts, wish: Wish) -> Value:
    """As many as the chosen queues need, or the current ones; None where the driver has none."""
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
            f"at most {max(most.rx, most.combined)} (ethtool -l {facts.name}), so set [interface] "
            "queues to lower ones"
        )
    return wanted


def wanted_rules(wish: Wish) -> dict[FlowMatch, int]:
    """A queue for each match: several queues share an address and port by source address.

    By address and never by port: what a worker knows about a client (rate limit, saved timestamps)
    is that worker's alone. If the number of queues is not a power of two, the first ones get twice
    as much as the others.
    """
    mask = (1 << (len(wish.queues) - 1).bit_length()) - 1
    addresses = dict.fromkeys(served.address for served in wish.served)
    return {
        FlowMatch(address, port, low, mask): wish.queues[low % len(wish.queues)]
        for address in addresses
        for port in wish.ports
        for low in range(mask + 1)
    }


def rule_step(match: FlowMatch, queue: int) -> Step:
    """The step that adds a rule steering requests to a queue."""
    value = {"queue": queue, "location": None}
    return Step(setting.rule(match), value, f"requests for port {match.port} to queue {queue}")


def stale_rules(facts: NicFacts, wanted: dict[FlowMatch, int]) -> list[FlowMatch]:
    """Existing rules that steer our requests, but not to where we want them.

    Left by a run without a journal, or added by hand.
    """
    present = facts.rules.rules.values() if facts.rules else ()
    ours = {(match.destination, match.port) for match in wanted}
    found = []
    for rule in present:
        match = FlowMatch.of(rule.flow)
        if match and (match.destination, match.port) in ours and wanted.get(match) != rule.cookie:
            found.append(match)
    return found


def _weights(facts: NicFacts, wish: Wish, steering: str, count: int) -> list[int]:
    """Each queue's weight in RSS; empty where the table stays as it is."""
    if facts.rss is None or steering == "none":
        return []
    weights = [int((queue in wish.queues) == (steering == "rss")) for queue in range(count)]
    return weights if 0 < sum(weights) < count else []


def _receiving(facts: NicFacts, wish: Wish, channels: Value) -> int:
    """The number of RX queues after the change."""
    return channels["rx"] + channels["combined"] if channels else max(wish.queues) + 1


def _present(facts: NicFacts) -> Value:
    return asdict(facts.channels) if facts.channels else None


def untagging_steps(facts: NicFacts, wish: Wish) -> Iterator[Step]:
    """What leaves VLAN tags in the frames, where an address with a tag is served."""
    if _is_tagged(wish):
        yield from _features_off(facts, UNTAGGING)


def _features_off(facts: NicFacts, features: dict[str, str]) -> Iterator[Step]:
    for name, why in features.items():
        if name in facts.features and facts.features[name].changeable:
            yield Step(setting.feature(name), False, why)


def _is_tagged(wish: Wish) -> bool:
    return any(served.outer for served in wish.served)
