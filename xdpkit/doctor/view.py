"""What doctor found, for a person: one screen for one interface, a few lines each for several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from xdpkit.doctor.finding import SEVERITIES, Finding, receiving
from xdpkit.doctor.run import Report
from xdpkit.nic.fact import known, unknowns

# Into a pipe or file there is no width to fit: no line shall break.
_PIPE_WIDTH = 500

_STYLES = {"blocks": "bold red", "costs": "yellow", "note": "cyan"}
_TITLES = {"blocks": "in the way", "costs": "could be better", "note": "good to know"}

# What is no line for a shell begins like this.
_SETTING = "xdpkit.toml: "

# What somebody reports is shown with where it says so; other sources are in the JSON.
_REPORT = "/issues/"

Line = tuple[Text, int]
"""A line and how far it is indented."""


def show(reports: Sequence[Report]) -> None:
    """Prints to standard output, in colour on a terminal."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    for report in reports:
        lines = full(report) if len(reports) == 1 else short(report)
        for text, indent in lines:
            text.plain = printable(text.plain)
            console.print(Padding(text, (0, 0, 0, indent), expand=False))


def printable(words: str) -> str:
    """Without what would steer the terminal: any user may give a process any name."""
    return "".join(c if c.isprintable() else "?" for c in words)


def short(report: Report) -> Iterator[Line]:
    """The heading, and what is in the way with what mends it."""
    yield _heading(report), 0
    for finding in report.of("blocks"):
        yield Text(finding.what), 2
        yield _command(finding), 2
    counts = [f"{len(report.of(each))} {_TITLES[each]}" for each in SEVERITIES[1:]]
    name = report.facts.link.interface.name
    yield Text(f"{', '.join(counts)}: xdpkit doctor {name}", style="dim"), 2


def full(report: Report) -> Iterator[Line]:
    """Everything, by severity; then what is fine, and what could not be seen."""
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
    if driver := known(facts.device.driver):
        # Virtual ones have a word there: "tap", or "N/A".
        bus = driver.bus if ":" in driver.bus else ""
        parts.append(f"{driver.name} {bus}".rstrip())
    queues = receiving(facts)
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
