"""``xdpkit status`` for a person: tables of the document that ``status`` builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from xdpkit.status.document import Verdict

# Into a pipe or file there is no width to fit: no line shall break.
_PIPE_WIDTH = 200


def show(document: Mapping[str, Any], verdicts: Sequence[Verdict]) -> None:
    """Print the status of one instance to standard output."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    for part in parts(document, verdicts):
        console.print(part)


def parts(document: Mapping[str, Any], verdicts: Sequence[Verdict]) -> list[RenderableType]:
    """Heading, packets by queue, verdicts that occurred, TCP, the source of time, zones."""
    shown: list[RenderableType] = [
        Text(_heading(document)),
        _queues(document, {verdict.name: verdict.kind for verdict in verdicts}),
        _verdicts(document, verdicts),
    ]
    if tcp := document["slow_path"].get("tcp"):
        shown.append(_tcp(tcp))
    if ntp := document.get("ntp"):
        shown += [Text(_ntp(ntp)), _sources(ntp), Text(_asked(ntp)), _transmit(document)]
    if document["zones"]:
        shown += [Text(f"\n{_arena(document)}"), _zones(document)]
    return shown


def _heading(document: Mapping[str, Any]) -> str:
    copy = "zero-copy" if document["zerocopy"] else "copy"
    up = timedelta(seconds=int(document["uptime_s"]))
    return (
        f"{document['interface']}: {document['mode']} mode, {copy}, steering"
        f" {document['steering']}, timestamps {document['timestamps']}, pid {document['pid']},"
        f" up {up}"
    )


def _table(*columns: str, words: int) -> Table:
    """A table without frame whose first and last ``words`` columns are text, the others numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index, name in enumerate(columns):
        text = index == 0 or index >= len(columns) - words
        table.add_column(name, justify="left" if text else "right", no_wrap=index == 0)
    return table


def _queues(document: Mapping[str, Any], kinds: Mapping[str, str]) -> Table:
    """One row for each RX queue that anything arrived on or that is served, and each listener."""
    table = _table("queue", "taken", "passed", "received", "answered", "dropped", "why", words=1)
    served, xdp = document["queues"], document["xdp"]
    for queue in sorted({*served, *xdp}, key=int):
        counts = xdp.get(queue, {})
        taken = sum(n for name, n in counts.items() if kinds.get(name) == "take")
        passed = sum(n for name, n in counts.items() if kinds.get(name) == "pass")
        table.add_row(queue, _number(taken), _number(passed), *_answering(served.get(queue)))
    for name, listener in document["slow_path"].items():
        table.add_row(_slow(name), "", "", *_answering(listener))
    return table


def _slow(listener: str) -> str:
    """A listener's name among those of queues."""
    return f"slow path {listener.upper()}"


def _answering(counts: Mapping[str, Any] | None) -> list[Text]:
    """Cells of a queue or a listener; empty for a queue that is left to the kernel."""
    if counts is None:
        return [Text()] * 4
    dropped = counts["dropped"]
    numbers = (counts["rx"], counts["tx"], sum(dropped.values()))
    return [*(_number(number) for number in numbers), Text(_reasons(dropped))]


def _verdicts(document: Mapping[str, Any], verdicts: Sequence[Verdict]) -> Table:
    """What occurred, with its meaning; a verdict of a newer instance has none here."""
    texts = {verdict.name: verdict.text for verdict in verdicts}
    table = _table("\nverdict", "\npackets", "\nmeaning", words=1)
    for name, count in document["verdicts"].items():
        if count:
            table.add_row(Text(name), _number(count), Text(texts.get(name, "")))
    return table


def _ntp(ntp: Mapping[str, Any]) -> str:
    if not ntp["synchronised"]:
        return "\nNTP: not synchronised, and replies say so"
    return (
        f"\nNTP: time from {ntp['source']}, {ntp['age_s']:.1f} s ago: stratum {ntp['stratum']},"
        f" refid {ntp['refid']}, leap {ntp['leap']}, delay {ntp['root_delay_s']:.6f} s,"
        f" dispersion {ntp['root_dispersion_s']:.6f} s"
    )


def _sources(ntp: Mapping[str, Any]) -> Table:
    table = _table("source", "polls", "answers", "ignored", "state", words=2)
    for source in ntp["sources"]:
        table.add_row(
            Text(source["name"]),
            _number(source["polls"]),
            _number(source["answers"]),
            Text(_reasons(source["ignored"])),
            Text(source["state"]),
        )
    return table


def _asked(ntp: Mapping[str, Any]) -> str:
    """Who asked, in a line."""
    parts = [f"clients about {ntp['clients']:,}"]
    for what, prefix in (("versions", "v"), ("modes", ""), ("keys", "id ")):
        counted = {prefix + name: n for name, n in ntp[what].items() if n}
        if counted:
            parts.append(f"{what} {_reasons(counted)}")
    return "\nNTP requests: " + "; ".join(parts)


def _transmit(document: Mapping[str, Any]) -> Table:
    """Where transmit times come from, and how far those in the replies were from the truth."""
    table = _table(
        "transmit", "told", "early by ns, p1", "p10", "p50", "p90", "p99", "from", words=1
    )
    listeners = ((_slow(name), facts) for name, facts in document["slow_path"].items())
    for name, path in (*document["queues"].items(), *listeners):
        if facts := path.get("ntp"):
            errors = [f"{ns:,}" for ns in facts["tx_error_ns"].values()] or [""] * 5
            table.add_row(name, _number(facts["tx_true"]), *errors, facts["tx_timestamps"])
    return table


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.items())


def _tcp(tcp: Mapping[str, Any]) -> Text:
    """Of DNS over TCP: its connections, and why they ended."""
    ended = ", ".join(f"{reason} {count:,}" for reason, count in tcp["ended"].items()) or "none"
    return Text(
        f"\ntcp: {tcp['open']:,} of {tcp['connections']:,} connections open, {tcp['accepted']:,}"
        f" accepted, {tcp['queries']:,} queries; ended: {ended}"
    )


def _zones(document: Mapping[str, Any]) -> Table:
    table = _table("zone", "serial", "names", words=0)
    for name, zone in document["zones"].items():
        table.add_row(Text(name), Text(str(zone["serial"])), _number(zone["names"]))
    return table


def _arena(document: Mapping[str, Any]) -> str:
    """How the zones came into memory; of an older instance nothing is known."""
    arena = document.get("dns", {}).get("arena")
    if not arena:
        return "zones"
    how = {"cache": "taken from the cache"}.get(arena["source"], arena["source"])
    return (
        f"zones: {arena['names']:,} names in {arena['bytes']:,} bytes,"
        f" {how} in {arena['load_s']:.1f} s at {arena['loaded_at']}"
    )


def _number(count: int) -> Text:
    return Text(f"{count:,}")
