"""Prints doctor's findings: one screen for one interface, a few lines each for several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from xdpkit.doctor.finding import SEVERITIES, Finding, rx_queues_in_use
from xdpkit.doctor.report import Report
from xdpkit.escape import escape
from xdpkit.nic.fact import unknowns, value_of

# A pipe or file has no width to fit: do not wrap lines.
_PIPE_WIDTH = 500

_STYLES = {"blocks": "bold red", "costs": "yellow", "note": "cyan"}
_TITLES = {"blocks": "blocking", "costs": "could be better", "note": "good to know"}

# Fixes that are not shell commands begin like this.
_SETTING = "xdpkit.toml: "

# Sources that are bug reports are shown; others are in the JSON only.
_REPORT = "/issues/"

Line = tuple[Text, int]
"""A line and its indentation."""


def show(reports: Sequence[Report]) -> None:
    """Prints to standard output, in color on a terminal."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    for report in reports:
        lines = full_lines(report) if len(reports) == 1 else short_lines(report)
        for text, indent in lines:
            # Any user may give a process any name.
            text.plain = escape(text.plain)
            console.print(Padding(text, (0, 0, 0, indent), expand=False))


def short_lines(report: Report) -> Iterator[Line]:
    """The heading, and what prevents serving with its fix."""
    yield _heading(report), 0
    for finding in report.of("blocks"):
        yield Text(finding.what), 2
        yield _command(finding), 2
    counts = [f"{len(report.of(each))} {_TITLES[each]}" for each in SEVERITIES[1:]]
    name = report.facts.link.interface.name
    yield Text(f"{', '.join(counts)}: xdpkit doctor {name}", style="dim"), 2


def full_lines(report: Report) -> Iterator[Line]:
    """Everything, by severity; then what is fine, and what is unknown."""
    yield _heading(report), 0
    for severity in SEVERITIES:
        if findings := report.of(severity):
            yield Text(_TITLES[severity], style=_STYLES[severity]), 0
        for finding in findings:
            yield Text(f"{finding.what}: {finding.consequence}"), 2
            if finding.command:
                yield _command(finding), 4
            if _REPORT in finding.source:
                yield Text(finding.source, style="dim"), 4
    if report.fine:
        yield Text(f"fine: {', '.join(report.fine)}", style="green"), 0
    for reason, names in _by_reason(report).items():
        yield Text(f"unknown: {', '.join(names)} ({reason})", style="dim"), 0


def _heading(report: Report) -> Text:
    facts = report.facts
    parts = []
    if driver := value_of(facts.device.driver):
        # Virtual devices have a word there: "tap", or "N/A".
        bus = driver.bus if ":" in driver.bus else ""
        parts.append(f"{driver.name} {bus}".rstrip())
    queues = rx_queues_in_use(facts)
    parts.append(f"{queues} RX queue{'s' if queues != 1 else ''}")
    parts.append(f"kernel {facts.kernel.release}")
    answer = f"can be served, in {report.expected}" if report.serves else "cannot be served"
    text = Text(f"{facts.link.interface.name}: {', '.join(parts)}: ")
    return text.append(answer, style="bold green" if report.serves else "bold red")


def _command(finding: Finding) -> Text:
    prompt = "" if finding.command.startswith(_SETTING) else "$ "
    return Text(prompt).append(finding.command, style="bold")


def _by_reason(report: Report) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for name, reason in unknowns(report.facts):
        reasons.setdefault(reason, []).append(name)
    return reasons
