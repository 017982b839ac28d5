"""The settings of an interface: their names, values and equivalent shell commands.

    setting            value                                   command
    channels           {"rx": 0, "tx": 0, "other": 0,          ethtool -L
                       "combined": 4}
    rss                "default", a queue for each slot, or    ethtool -X
                       {"weights": [1, 1, 0, 1]}
    rule MATCH         None, or {"queue": 2, "location": 1}    ethtool -N
                       with None where the driver chooses
    feature NAME       true, false                             ethtool -K
    stamps             {"flags": 0, "tx_type": 0,              hwstamp_ctl
                       "rx_filter": 1}
    interrupt QUEUE    {"cpus": "3", "irq": 45}                echo 3 > /proc/irq/45/...
                       with None until it is looked up
    napi_defer_hard_irqs, gro_flush_timeout                    echo N > /sys/class/net/...
                       a number

All values fit into JSON. Pure: ``device.py`` reads and writes them; ``schema.py`` checks them where
they come from a file.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any

from xdpkit.nic.os import hwtstamp
from xdpkit.nic.os.ethtool_rss import weighted_table
from xdpkit.nic.os.ethtool_rxnfc import FlowMatch

Value = Any

CHANNELS = "channels"
INTERRUPT = "interrupt"
RSS = "rss"
STAMPS = "stamps"
DEFAULT = "default"
RULE = "rule"
FEATURE = "feature"
NAPI = ("napi_defer_hard_irqs", "gro_flush_timeout")


def rule(match: FlowMatch) -> str:
    """The name of the setting: a rule for these packets."""
    return f"{RULE} {match}"


def feature(name: str) -> str:
    """The name of the setting: an offload."""
    return f"{FEATURE} {name}"


def interrupt(queue: int) -> str:
    """The name of the setting: the CPUs that handle a queue's interrupt."""
    return f"{INTERRUPT} {queue}"


def split(setting: str) -> tuple[str, str]:
    """A setting's kind, and which one of that kind."""
    kind, _, which = setting.partition(" ")
    return kind, which


def same(one: Value, other: Value) -> bool:
    """Whether two values are equal; unknown locations and interrupt numbers do not count."""
    if isinstance(one, dict) and isinstance(other, dict) and {"location"} <= one.keys():
        locations = {one["location"], other.get("location")} - {None}
        return len(locations) < 2 and one["queue"] == other.get("queue")
    if isinstance(one, dict) and isinstance(other, dict) and {"irq"} <= one.keys():
        return bool(one["cpus"] == other.get("cpus"))
    return bool(one == other)


def line(ifname: str, setting: str, value: Value, before: Value = None) -> str:
    """The shell command that sets ``value`` where the current value is ``before``."""
    kind, which = split(setting)
    name = shlex.quote(ifname)
    if kind == CHANNELS:
        changes = {of: n for of, n in value.items() if n != (before[of] if before else 0)}
        return " ".join([f"ethtool -L {name}", *(f"{of} {n}" for of, n in changes.items())])
    if kind == RSS:
        return _rss_line(name, value)
    if kind == "rule":
        return _rule_line(name, FlowMatch.parse(which), value, before)
    if kind == INTERRUPT:
        irq = "NUMBER" if value["irq"] is None else value["irq"]
        return f"echo {value['cpus']} > /proc/irq/{irq}/smp_affinity_list"
    if kind == "feature":
        return f"ethtool -K {name} {which} {'on' if value else 'off'}"
    if kind == STAMPS:
        return hwtstamp.Setting(**value).command(name)
    return f"echo {value} > /sys/class/net/{name}/{setting}"


def _rss_line(name: str, value: Value) -> str:
    if value == DEFAULT:
        return f"ethtool -X {name} default"
    weights = value["weights"] if isinstance(value, dict) else weights_of(value)
    if weights is None:
        return f"# ethtool -X {name}: no weights make this table"
    return f"ethtool -X {name} weight {' '.join(map(str, weights))}"


def _rule_line(name: str, match: FlowMatch, value: Value, before: Value) -> str:
    if value is None:
        # For a rule that does not exist yet, the command that adds it prints the ID.
        location = before.get("location") if before else None
        return f"ethtool -N {name} delete {'ID' if location is None else location}"
    v6 = match.destination.version == 6
    parts = [f"ethtool -N {name} flow-type udp{6 if v6 else 4}"]
    if match.mask:
        size = 128 if v6 else 32
        kind = type(match.destination)
        # ethtool's mask holds the bits to ignore.
        parts.append(f"src-ip {kind(match.source)} m {kind((1 << size) - 1 - match.mask)}")
    parts.append(f"dst-ip {match.destination} dst-port {match.port} action {_action(value)}")
    if value["location"] is not None:
        parts.append(f"loc {value['location']}")
    return " ".join(parts)


def _action(value: Value) -> int:
    # RX_CLS_FLOW_DISC (drop) is -1 for ethtool.
    queue: int = value["queue"]
    return queue - (1 << 64) if queue >> 63 else queue


def weights_of(table: Sequence[int]) -> list[int] | None:
    """The weights that make ethtool write this table; None if there are none."""
    slots = Counter(table)
    weights = [slots[queue] for queue in range(max(table, default=-1) + 1)]
    return weights if weights and weighted_table(weights, len(table)) == list(table) else None
