"""Which settings and values a journal may name: a closed list, each value typed and in range.

A journal is read by root, and may be written by the user of the unit (``state_files.py``). What is
not listed here is not undone, so that a line of it can do no more than a run could have done.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any

from xdpkit.nic.os.ethtool_rxnfc import FlowMatch
from xdpkit.nic.setup import setting
from xdpkit.nic.setup.setting import Value

FEATURES = frozenset(
    {
        "rx-ntuple-filter",
        "rx-lro",
        "rx-gro-hw",
        "rx-udp-gro-forwarding",
        "rx-vlan-hw-parse",
        "rx-vlan-stag-hw-parse",
    }
)
"""The offloads that a plan may change."""

# These are files of root: CAP_NET_ADMIN alone does not change them.
ROOTS_FILES = (setting.INTERRUPT, *setting.NAPI)

# Queues, channels and the slots of an RSS table: more than any driver has.
_MOST = 65535
# What fits in a C int, in a __u32, and in a __u64, where -1 is ethtool's action "drop".
_INT, _U32, _U64 = (1 << 31) - 1, (1 << 32) - 1, (1 << 64) - 1

# The kernel's list format; bounded by the most CPUs that Linux supports, 8192, one by one.
_CPUS = re.compile(r"[0-9,-]{1,49152}", re.ASCII)
_QUEUE = re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)


def is_number(value: Any, most: int, least: int = 0) -> bool:
    """Whether it is a whole number of that range; true and false are not."""
    return type(value) is int and least <= value <= most


def shown(value: Any) -> str:
    """The start of a value that may be anything, for an error."""
    if isinstance(value, (dict, list)):
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def needs_root(name: str) -> bool:
    """Whether only root can have changed the setting."""
    return setting.split(name)[0] in ROOTS_FILES


def check(name: Any, *values: Value) -> None:
    """Raises ValueError for a setting that a run never changes, or a value that it cannot have."""
    if not isinstance(name, str):
        raise ValueError("the setting is not a string")
    kind, which = setting.split(name)
    if kind not in _KINDS or (kind in _SINGLE and name != kind):
        raise ValueError(f"no such setting: {shown(name)}")
    _check_which(kind, which)
    for value in values:
        if not _KINDS[kind](value):
            raise ValueError(f"not a value of {kind}: {shown(value)}")


def _check_which(kind: str, which: str) -> None:
    if kind == setting.FEATURE and which not in FEATURES:
        raise ValueError(f"no feature that is ever changed: {shown(which)}")
    if kind == setting.INTERRUPT and not _QUEUE.fullmatch(which):
        raise ValueError(f"not a queue: {shown(which)}")
    if kind == setting.RULE and not _is_match(which):
        raise ValueError(f"not a rule: {shown(which)}")


def _is_match(text: str) -> bool:
    """Whether it is what ``str`` makes of a match, in its range."""
    if len(text) > 200:
        return False
    try:
        match = FlowMatch.parse(text)
    except ValueError:
        return False
    most = (1 << match.destination.max_prefixlen) - 1
    scoped = isinstance(match.destination, IPv6Address) and match.destination.scope_id
    in_range = 0 <= match.source <= most and 0 <= match.mask <= most and 0 <= match.port <= _MOST
    return not scoped and in_range and str(match) == text


def _is_channels(value: Value) -> bool:
    return _has(value, rx=_MOST, tx=_MOST, other=_MOST, combined=_MOST)


def _is_rss(value: Value) -> bool:
    if value == setting.DEFAULT:
        return True
    if not isinstance(value, list) or not 0 < len(value) <= _MOST:
        return False
    return all(is_number(queue, _MOST) for queue in value)


def _is_rule(value: Value) -> bool:
    if value is None:
        return True
    if isinstance(value, dict) and value.get("location", 0) is None:
        value = value | {"location": 0}
    return _has(value, queue=_U64, location=_U32)


def _is_interrupt(value: Value) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("cpus"), str):
        return False
    irq = 0 if value.get("irq", 0) is None else value.get("irq")
    return bool(_CPUS.fullmatch(value["cpus"])) and _has({"irq": irq}, irq=_INT) and len(value) == 2


def _is_stamps(value: Value) -> bool:
    return _has(value, flags=_INT, tx_type=_INT, rx_filter=_INT)


def _has(value: Value, **most: int) -> bool:
    """Whether it has exactly these numbers, each at most so large."""
    return (
        isinstance(value, dict)
        and value.keys() == most.keys()
        and all(is_number(value[name], most[name]) for name in most)
    )


_KINDS: dict[str, Callable[[Value], bool]] = {
    setting.CHANNELS: _is_channels,
    setting.RSS: _is_rss,
    setting.RULE: _is_rule,
    setting.FEATURE: lambda value: isinstance(value, bool),
    setting.INTERRUPT: _is_interrupt,
    setting.STAMPS: _is_stamps,
    "napi_defer_hard_irqs": lambda value: is_number(value, _INT),
    "gro_flush_timeout": lambda value: is_number(value, _U64),
}
_SINGLE = (setting.CHANNELS, setting.RSS, setting.STAMPS, *setting.NAPI)
