"""``xdpkit status`` as text: tables of the document that ``document`` builds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from xdpkit.escape import escape_all
from xdpkit.status.document import Verdict
from xdpkit.status.head import head_lines
from xdpkit.status.tables import number, table
from xdpkit.status.where_view import where_parts

# Zones that are shown; --json has all.
ZONES = 20

# Of the latency: the keys of latency_ns in the document.
_INSIDE = ("p50", "p90", "p99", "p99.9", "max")

# A pipe or file has no width: lines must not wrap.
_PIPE_WIDTH = 200


def show(document: Mapping[str, Any], verdicts: Sequence[Verdict]) -> None:
    """Prints the status of one instance to standard output."""
    _print(parts(escape_all(document), verdicts))


def show_where(document: Mapping[str, Any]) -> None:
    """Prints how it is, and where its packets went."""
    shown = escape_all(document)
    _print([*map(Text, head_lines(shown)), *where_parts(shown["where"])])


def _print(views: Sequence[RenderableType]) -> None:
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    for view in views:
        # A reason is one line, however long.
        console.print(view, soft_wrap=isinstance(view, Text))


def parts(document: Mapping[str, Any], verdicts: Sequence[Verdict]) -> list[RenderableType]:
    """How it is, packets by queue, verdicts that occurred, TCP, NTP, zones."""
    views: list[RenderableType] = [
        *map(Text, head_lines(document)),
        _queues(document, {verdict.name: verdict.kind for verdict in verdicts}),
        _verdicts(document, verdicts),
        *_not_served(document),
        *_latency(document),
    ]
    if tcp := document["slow_path"].get("tcp"):
        views.append(_tcp(tcp))
    if ntp := document.get("ntp"):
        views += [Text(_ntp(ntp)), _sources(ntp), Text(_requests(ntp)), _transmit(document)]
    if traffic := document.get("dns", {}).get("traffic"):
        views.append(Text(_traffic(traffic)))
    if document["zones"]:
        views += [Text(f"\n{_arena(document)}"), *_failing(document), *_health(document)]
        views += [_zones(document)]
    return views


def _not_served(document: Mapping[str, Any]) -> list[RenderableType]:
    """The ports that could not be had; unknown for an older instance."""
    shown = table("\nnot served", "\naddress", "\nport", "\nwhy", words=3)
    for each in document.get("not_served", ()):
        service = f"{each['service']} over {each['protocol'].upper()}"
        shown.add_row(*map(Text, (service, each["address"], str(each["port"]), each["reason"])))
    udp = document["slow_path"].get("udp", {})
    for service in udp.get("left_to_others", ()):
        shown.add_row(
            *map(Text, (f"{service} on the slow path", "all", "", "left to another program"))
        )
    return [shown] if shown.row_count else []


def _queues(document: Mapping[str, Any], kinds: Mapping[str, str]) -> Table:
    """A row for each RX queue that is served or received anything, and for each listener.

    What was received and answered is what reached a thread: ``where_view`` has the sums.
    """
    shown = table(
        "queue", "taken", "passed", "received", "answered", "dropped", "lost", "why", words=1
    )
    served, xdp = document["queues"], document["xdp"]
    for queue in sorted({*served, *xdp}, key=int):
        counts = xdp.get(queue, {})
        taken = sum(n for name, n in counts.items() if kinds.get(name) == "take")
        passed = sum(n for name, n in counts.items() if kinds.get(name) == "pass")
        shown.add_row(queue, number(taken), number(passed), *_answering(served.get(queue)))
    for name, listener in document["slow_path"].items():
        shown.add_row(_listener_label(name), "", "", *_answering(listener))
    return shown


def _listener_label(listener: str) -> str:
    """The label of a listener in a column of queues."""
    return f"slow path {listener.upper()}"


def _paths(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What each served queue and each listener has, by how it is named."""
    yield from document["queues"].items()
    for name, facts in document["slow_path"].items():
        yield _listener_label(name), facts


def _answering(counts: Mapping[str, Any] | None) -> list[Text]:
    """The cells of a queue or a listener; empty for a queue that is not served."""
    if counts is None:
        return [Text()] * 5
    dropped, lost = counts["dropped"], _lost(counts)
    numbers = (counts["rx"], counts["tx"], sum(dropped.values()), sum(lost.values()))
    why = "; lost: ".join(_reasons(each) for each in (dropped, lost) if each)
    return [*map(number, numbers), Text(why if dropped or not lost else f"lost: {why}")]


def _lost(counts: Mapping[str, Any]) -> dict[str, int]:
    """What a queue or a listener has lost, by place; unknown for an older instance."""
    places: dict[str, int] = {}
    if "lost_at" in counts:
        for place, _, packets in counts["lost_at"]:
            places[place] = places.get(place, 0) + packets
    elif isinstance(counts.get("lost"), Mapping):
        places |= counts["lost"]
    return {place: packets for place, packets in places.items() if packets}


def _verdicts(document: Mapping[str, Any], verdicts: Sequence[Verdict]) -> Table:
    """The verdicts that occurred, and their meaning; one of a newer instance has none here."""
    texts = {verdict.name: verdict.text for verdict in verdicts}
    shown = table("\nverdict", "\npackets", "\nmeaning", words=1)
    for name, count in document["verdicts"].items():
        if count:
            shown.add_row(Text(name), number(count), Text(texts.get(name, "")))
    return shown


def _ntp(ntp: Mapping[str, Any]) -> str:
    if not ntp["synchronised"]:
        return "\nNTP: not synchronized, and replies say so"
    return (
        f"\nNTP: time from {ntp['source']}, {ntp['age_s']:.1f} s ago: stratum {ntp['stratum']},"
        f" refid {ntp['refid']}, leap {ntp['leap']}, delay {ntp['root_delay_s']:.6f} s,"
        f" dispersion {ntp['root_dispersion_s']:.6f} s"
    )


def _sources(ntp: Mapping[str, Any]) -> Table:
    shown = table("source", "polls", "answers", "ignored", "state", words=2)
    for source in ntp["sources"]:
        shown.add_row(
            Text(source["name"]),
            number(source["polls"]),
            number(source["answers"]),
            Text(_reasons(source["ignored"])),
            Text(source["state"]),
        )
    return shown


def _requests(ntp: Mapping[str, Any]) -> str:
    """Clients and their requests, in one line."""
    parts = [f"clients about {ntp['clients']:,}"]
    for what, prefix in (("versions", "v"), ("modes", ""), ("keys", "id ")):
        counted = {prefix + name: n for name, n in ntp[what].items() if n}
        if counted:
            parts.append(f"{what} {_reasons(counted)}")
    return "\nNTP requests: " + "; ".join(parts)


def _traffic(traffic: Mapping[str, Any]) -> str:
    """What was asked over DNS, in one line."""
    parts = [
        f"{what} {_reasons(counted)}"
        for what in ("protocols", "types")
        if (counted := {name: n for name, n in traffic[what].items() if n})
    ]
    parts.append(f"EDNS {traffic['edns']:,}, DO {traffic['do']:,}")
    return "\nDNS queries: " + "; ".join(parts)


def _transmit(document: Mapping[str, Any]) -> Table:
    """The source of transmit times, and the errors of those in the replies."""
    shown = table(
        "transmit", "known", "early by ns, p1", "p10", "p50", "p90", "p99", "from", words=1
    )
    for name, path in _paths(document):
        if facts := path.get("ntp"):
            errors = [f"{ns:,}" for ns in facts["tx_error_ns"].values()] or [""] * 5
            shown.add_row(name, number(facts["tx_true"]), *errors, facts["tx_timestamps"])
    return shown


def _latency(document: Mapping[str, Any]) -> list[RenderableType]:
    """How long answers were inside; unknown for an older instance."""
    shown = table("\ninside, us", *(f"\n{name}" for name in _INSIDE), "\nfrom", words=1)
    for name, path in _paths(document):
        if inside := path.get("latency_ns"):
            values = [f"{inside[each] / 1000:,.1f}" for each in _INSIDE]
            shown.add_row(name, *values, path["latency_from"])
    return [shown] if shown.row_count else []


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.items())


def _tcp(tcp: Mapping[str, Any]) -> Text:
    """DNS over TCP: its connections, and why they ended."""
    ended = ", ".join(f"{reason} {count:,}" for reason, count in tcp["ended"].items()) or "none"
    return Text(
        f"\ntcp: {tcp['open']:,} of {tcp['connections']:,} connections open, {tcp['accepted']:,}"
        f" accepted, {tcp['queries']:,} queries; ended: {ended}"
    )


def _failing(document: Mapping[str, Any]) -> list[RenderableType]:
    """The zones that are not up to date, and why."""
    failing = {name: zone for name, zone in document["zones"].items() if zone.get("errors")}
    if not failing:
        return []
    shown = table("zone", "state", "since", "why", words=3)
    ordered = sorted(failing.items(), key=lambda item: str(item[1]["since"]))
    for name, zone in ordered[:ZONES]:
        of = f", as of {zone['loaded_at']}" if zone.get("loaded_at") else ""
        more = f" (and {len(zone['errors']) - 1} more errors)" if len(zone["errors"]) > 1 else ""
        why = zone["errors"][0] + more
        shown.add_row(*map(Text, (name, zone["state"] + of, zone["since"], why)))
    return [shown, *_and_more(len(failing)), Text()]


def _health(document: Mapping[str, Any]) -> list[RenderableType]:
    """What is wrong with status files; unknown for an older instance."""
    lines = document.get("dns", {}).get("health", ())
    return [*map(Text, lines), Text()] if lines else []


def _zones(document: Mapping[str, Any]) -> RenderableType:
    shown = table("zone", "serial", "names", words=0)
    zones = [(name, zone) for name, zone in document["zones"].items() if zone["serial"] is not None]
    for name, zone in zones[:ZONES]:
        shown.add_row(Text(name), Text(str(zone["serial"])), number(zone["names"]))
    return Group(shown, *_and_more(len(zones)))


def _and_more(count: int) -> list[Text]:
    return [Text(f"and {count - ZONES:,} more")] if count > ZONES else []


def _arena(document: Mapping[str, Any]) -> str:
    """How the zones were loaded; unknown for an older instance."""
    arena = document.get("dns", {}).get("arena")
    if not arena:
        return "zones"
    how = {"cache": "taken from the cache"}.get(arena["source"], arena["source"])
    words = (
        f"zones: {arena['names']:,} names in {arena['bytes']:,} bytes,"
        f" {how} in {arena['load_s']:.1f} s at {arena['loaded_at']}"
    )
    for key, what in (("stale", "not up to date"), ("failed", "answered with SERVFAIL")):
        words += f"; {arena[key]:,} {what}" if arena.get(key) else ""
    return words
