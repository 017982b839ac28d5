"""``xdpkit doctor``: what prevents or slows serving on an interface, and how to fix it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from xdpkit import config
from xdpkit.control import client as control_client
from xdpkit.doctor import (
    checks_host,
    checks_kernel,
    checks_link,
    checks_policy,
    checks_queues,
    checks_xdp,
    probe,
    probe_link,
)
from xdpkit.doctor.finding import SEVERITIES, Finding, Wanted, expected_mode
from xdpkit.doctor.probe import ProbeFacts
from xdpkit.doctor.report import Report
from xdpkit.errors import ControlError, NicError, UsageError
from xdpkit.nic.fact import to_json, unknowns
from xdpkit.nic.os import names

CHECKS = (
    *checks_kernel.CHECKS,
    *checks_host.CHECKS,
    *checks_link.CHECKS,
    *checks_policy.CHECKS,
    *checks_queues.CHECKS,
    *checks_xdp.CHECKS,
)


def examine(facts: ProbeFacts, wanted: Wanted) -> Report:
    """Runs all checks. Pure."""
    findings: list[Finding] = []
    fine: list[str] = []
    for check in CHECKS:
        found = list(check.find(facts, wanted))
        findings += found
        if not found and check.says_fine(facts):
            fine.append(check.fine)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Report(facts, expected_mode(facts, wanted), tuple(findings), tuple(fine))


def document(reports: Iterable[Report]) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {
        "interfaces": [
            {
                "interface": report.facts.link.interface.name,
                "serves": report.serves,
                "expected": report.expected,
                "findings": to_json(report.findings),
                "fine": to_json(report.fine),
                "unknown": dict(unknowns(report.facts)),
                "facts": to_json(report.facts),
            }
            for report in reports
        ]
    }


def examine_all(names: Iterable[str], wanted: Wanted) -> list[Report]:
    """Probes the machine once, and each interface. Raises NicError if one does not exist."""
    machine = probe.machine(tuple(wanted.ports.values()))
    return [examine(probe.interface(name, machine), wanted) for name in names]


def choose_interfaces(name: str | None, configured: str | None) -> list[str]:
    """The interface named on the command line or in the configuration, or all that are served, or
    all that look like physical devices. Raises UsageError and NicError.
    """
    name, configured = (names.current(each) if each else each for each in (name, configured))
    if name and configured and name != configured:
        raise UsageError(
            f"the configuration is for {configured}, not for {name}: name only one of them"
        )
    if one := name or configured:
        return [one]
    try:
        served = control_client.instances()
    except ControlError:
        served = []
    found = served or probe_link.interfaces()
    if not found:
        raise NicError(
            "this network namespace has no interface except the loopback: run "
            "'ip netns exec NAME xdpkit doctor' for another one"
        )
    return found


def main(options: Namespace) -> int:
    """Runs the verb; returns 0 if at least one of the interfaces can be served, else 1."""
    # Here, as rich takes a while to load.
    from xdpkit.doctor import view as doctor_view

    loaded = config.load(options.config) if options.config else None
    names = choose_interfaces(options.interface, loaded.interface.name if loaded else None)
    reports = examine_all(names, Wanted.of(loaded) if loaded else Wanted())
    if options.json:
        import json

        print(json.dumps(document(reports), indent=2))
    else:
        doctor_view.show(reports)
    return 0 if any(report.serves for report in reports) else 1
