"""Reads the host's policy that the chosen queues bypass: packet filters, and routes to nowhere.

nft shows the rules of iptables-nft too. Nothing is changed.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from xdpkit.errors import NicError
from xdpkit.nic.fact import Fact, Unknown, read_fact, read_text
from xdpkit.nic.os import dead_routes

# Where the package nftables has it; not PATH, which may hold anything.
NFT = Path("/usr/sbin/nft")
_SECONDS = 10.0

# The hooks that a request passes on its way to a socket; a chain without one is called from others.
_HOOKS = ("ingress", "prerouting", "input", None)

_TABLE_NAMES = (Path("/proc/net/ip_tables_names"), Path("/proc/net/ip6_tables_names"))


@dataclass(frozen=True)
class FilterRule:
    """An nftables rule that matches requests to one of our UDP ports; ``chain`` as nft names it."""

    chain: str
    handle: int


@dataclass(frozen=True)
class Filters:
    """What nft shows: rules for our ports, and chains that drop what they do not accept."""

    rules: tuple[FilterRule, ...] = ()
    dropping: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """The facts about the host's policy."""

    filters: Fact[Filters] = None
    legacy: Fact[tuple[str, ...]] = ()
    """Tables of iptables-legacy, whose rules nft does not show."""
    dead_routes: Fact[tuple[str, ...]] = ()
    """Prefixes of blackhole, unreachable and prohibit routes."""


def policy(ports: Collection[int]) -> Policy:
    """Reads them all; of the rules those that match one of ``ports``."""
    return Policy(
        filters=_filters(ports),
        legacy=read_fact(_legacy),
        dead_routes=_dead_routes(),
    )


def _filters(ports: Collection[int]) -> Fact[Filters]:
    if not NFT.exists():
        return Unknown(f"there is no {NFT} (Debian: nftables), which would show them")
    command = (str(NFT), "--json", "--terse", "list", "ruleset")
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_SECONDS, check=False, env={}, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Unknown(f"nft: {error}")
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").splitlines()
        return Unknown(f"nft: {words[0] if words else 'it failed'}")
    return read_fact(filters, done.stdout, ports)


def filters(text: bytes | str, ports: Collection[int]) -> Filters:
    """What concerns ``ports`` of the JSON of nft (libnftables-json(5)). Raises ValueError."""
    entries = json.loads(text)["nftables"]
    chains = {}
    for entry in entries:
        if chain := entry.get("chain"):
            chains[chain["family"], chain["table"], chain["name"]] = chain
    rules = []
    for entry in entries:
        if rule := entry.get("rule"):
            key = (rule["family"], rule["table"], rule["chain"])
            hook = chains.get(key, {}).get("hook")
            if hook in _HOOKS and _concerns(rule.get("expr", ()), ports):
                rules.append(FilterRule(" ".join(key), int(rule["handle"])))
    dropping = (
        " ".join(key)
        for key, chain in chains.items()
        if chain.get("policy") == "drop" and chain.get("hook") in _HOOKS[:3]
    )
    return Filters(tuple(rules), tuple(sorted(dropping)))


def _concerns(expressions: Collection[Any], ports: Collection[int]) -> bool:
    """Whether a rule asks for a UDP destination port, and one of ours can be it."""
    asks = False
    for match in (each["match"] for each in expressions if "match" in each):
        for field, right in _fields(match["left"], match["right"]):
            if field.get("field") == "dport" and field.get("protocol") in ("udp", "th"):
                asks = True
                if not any(_holds(port, right) != (match["op"] == "!=") for port in ports):
                    return False
    return asks


def _fields(left: Any, right: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Payload fields, each with what it is compared to; of concatenated ones anything fits."""
    if not isinstance(left, dict):
        return
    if "payload" in left:
        yield left["payload"], right
    for part in left.get("concat", ()):
        if isinstance(part, dict) and "payload" in part:
            yield part["payload"], "@"


def _holds(port: int, right: Any) -> bool:
    """Whether a port may be equal to a number, in a range, or in a set; a named set holds all."""
    if isinstance(right, dict) and "set" in right:
        return any(_holds(port, each) for each in right["set"])
    if isinstance(right, list):
        return any(_holds(port, each) for each in right)
    if isinstance(right, dict) and "range" in right:
        low, high = right["range"]
        return isinstance(low, int) and isinstance(high, int) and low <= port <= high
    return right == port if isinstance(right, int) else True


def _legacy() -> tuple[str, ...]:
    """The files are root's, and are there only with the modules of iptables-legacy."""
    found = [path for path in _TABLE_NAMES if path.exists()]
    return tuple(sorted({name for path in found for name in read_text(path).split()}))


def _dead_routes() -> Fact[tuple[str, ...]]:
    try:
        spans = dead_routes.read()
    except (OSError, NicError) as error:
        return Unknown(f"routes: {error}")
    return tuple(
        str(ip_network((address.to_bytes({4: 4, 6: 16}[version], "big"), length)))
        for version in (4, 6)
        for address, length, dead in sorted(spans[version])
        if dead
    )
