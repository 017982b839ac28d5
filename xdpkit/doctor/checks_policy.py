"""Checks of the host's policy: what is not between a request on a chosen queue and its answer."""

from __future__ import annotations

from collections.abc import Iterator

from xdpkit.doctor.finding import Check, Finding, Wanted, comma_separated
from xdpkit.doctor.probe import ProbeFacts
from xdpkit.nic.fact import value_of

# Of chains and prefixes in one line.
_MOST_NAMED = 8

_LISTS = "xdpkit.toml: allow and deny in [ntp] and [dns], [ntp.limit], [dns.rrl]"


def _filters(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    found = value_of(facts.policy.filters)
    words = []
    if found:
        handles: dict[str, list[int]] = {}
        for rule in found.rules:
            handles.setdefault(rule.chain, []).append(rule.handle)
        words += [
            f"{chain} handle {comma_separated(numbers[:_MOST_NAMED])}"
            for chain, numbers in handles.items()
        ]
        words += [f"{chain} policy drop" for chain in found.dropping]
    if words:
        ports = comma_separated(sorted(set(wanted.ports.values())))
        yield Finding(
            "filter-bypassed",
            "note",
            f"nftables has rules for UDP port {ports}: {_some(words)}",
            "they do not apply on the chosen queues, whose requests are answered before nftables; "
            "the other queues, fragments and TCP obey them",
            _LISTS,
        )
    if tables := value_of(facts.policy.legacy):
        yield Finding(
            "filter-legacy",
            "note",
            f"iptables-legacy is in use (tables {', '.join(tables)})",
            "its rules do not apply on the chosen queues",
            _LISTS,
        )


def _rp_filter(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    value = value_of(facts.link.rp_filter)
    if value:
        yield Finding(
            "rp-filter",
            "note",
            f"rp_filter is {value} on {facts.link.interface.name}",
            "it does not apply on the chosen queues: a source that is not routed back this way is "
            "answered there",
            _LISTS,
        )


def _routes(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    prefixes = value_of(facts.policy.dead_routes)
    if prefixes and not wanted.route_check:
        yield Finding(
            "dead-routes",
            "note",
            f"blackhole, unreachable or prohibit routes: {_some(list(prefixes))}",
            "clients there are answered on the chosen queues, and not by the slow path",
            "xdpkit.toml: [interface] route_check = true",
        )


def _some(words: list[str]) -> str:
    more = f" and {len(words) - _MOST_NAMED} more" if len(words) > _MOST_NAMED else ""
    return f"{', '.join(words[:_MOST_NAMED])}{more}"


CHECKS = (Check(_filters), Check(_rp_filter), Check(_routes))
