"""The tables of ``bench --zones`` for a human reader."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from xdpkit.bench.table import text_table

Facts = dict[str, Any]


def show(facts: Facts, console: Console) -> None:
    """Prints the facts: a table for each part."""
    console.print(
        f"{facts['zones']:,} zones of 4 records; {facts['driver']}, {facts['mode']}; Linux "
        f"{facts['kernel']}, {facts['cpu']}; medians of {facts['rounds']} rounds (least..most); "
        f"load average at the start {facts['load_average']:.1f}\n"
    )
    for table in (starts(facts), large(facts), edits(facts), rates(facts), losses(facts)):
        console.print(table)
        console.print()
    alias = facts["alias"]
    console.print(
        f"{alias['aliases']} aliases to large answers: an arena of {alias['arena_bytes']:,} bytes "
        f"for a file of {alias['file_bytes']:,}: {alias['per_file_byte']:.1f} times"
    )
    for title in ("over_others", "over_earlier"):
        for name, ratios in facts.get(title, {}).items():
            cells = ", ".join(f"{key} {value:.3f}" for key, value in ratios.items())
            console.print(f"{title.replace('_', ' ')}: {name}: {cells}")
    for name, reason in facts["skipped"].items():
        console.print(f"not measured: {name}: {reason}", style="yellow", markup=False)


def ranged(row: Facts, key: str, form: str = ",.2f", scale: float = 1.0) -> str:
    """The median, and the least and the most; empty if there is none."""
    if key not in row:
        return ""
    least, most = (format(row[f"{key}_{end}"] * scale, form) for end in ("min", "max"))
    return f"{format(row[key] * scale, form)} ({least}..{most})"


def starts(facts: Facts) -> Any:
    """Until the last zone answers, and memory then."""
    return text_table(
        [
            "from the process's start, s",
            "1 zone",
            f"{facts['zones']:,} zones",
            "more",
            "from the cache",
            "more",
            "MB: 1",
            "all",
        ],
        [
            [
                row["name"],
                ranged(row, "one_first_s"),
                ranged(row, "first_s"),
                f"{row['beyond_one_first_s']:.2f}",
                ranged(row, "again_s"),
                f"{row['beyond_one_again_s']:.2f}" if "again_s" in row else "",
                f"{row['one_resident_bytes'] / 1e6:,.1f}",
                f"{row['resident_bytes'] / 1e6:,.1f}",
            ]
            for row in facts["zone_starts"]
        ],
    )


def large(facts: Facts) -> Any:
    """Until a large zone answers."""
    return text_table(
        ["a large zone", "names", "first answer, s", "CPU, s", "MB"],
        [
            [
                row["name"],
                f"{row['names']:,}{', signed' if row['signed'] else ''}",
                ranged(row, "first_s"),
                ranged(row, "cpu_s"),
                f"{row['resident_bytes'] / 1e6:,.1f}",
            ]
            for row in facts["large_zones"]
        ],
    )


def edits(facts: Facts) -> Any:
    """From an edit to its answer."""
    return text_table(
        ["one zone edited, ms to the new answer", "median (least..most)", "after, s"],
        [
            [row["name"], ranged(row, "new_answer_s", ",.1f", 1e3), f"{row['quiet_s']:g}"]
            for row in facts["zone_edits"]
        ],
    )


def rates(facts: Facts) -> Any:
    """Answers from one zone and from many."""
    return text_table(
        ["answers from", "answers/s", "off the wire, ns", "instructions", "arena, bytes"],
        [
            [
                row["name"],
                ranged(row, "answers_per_s", ",.0f"),
                f"{row['ns_per_answer']:.1f} ({row['ns_per_answer_median']:.1f})",
                f"{row['instructions_per_answer']:.1f}" if "instructions_per_answer" in row else "",
                f"{row['arena_bytes']:,}",
            ]
            for row in facts["rates"]
        ],
    )


def losses(facts: Facts) -> Any:
    """What became of the queries while zones were compiled."""
    compiling, random = facts["compiling"], facts["random_edits"]
    total = compiling["total"]
    resident = [f"{random[f'resident_{when}'] / 1e6:,.1f}" for when in ("before", "after")]
    return text_table(
        ["while zones are compiled", "sent", "lost", "wrong", ""],
        [
            [
                f"{compiling['queries']:,} in {compiling['seconds']:g} s, {compiling['names']:,} "
                f"names, {compiling['rounds']} times",
                f"{total['sent']:,}",
                f"{total['lost']:,}",
                f"{total['wrong']:,}",
                f"reload {ranged(compiling, 'reload_s')} s; {control(compiling)}",
            ],
            [
                f"{random['edits']} random edits at {random['rate_per_s']:,}/s",
                f"{random['sent']:,}",
                f"{random['lost']:,}",
                f"{random['wrong']:,}",
                f"MB {resident[0]} before, {resident[1]} after; {control(random)}",
            ],
        ],
    )


def control(part: Facts) -> str:
    """What was lost at the same rate while nothing was compiled: the machine's share."""
    idle = part["idle"]
    return f"idle: {idle['lost']:,} of {idle['sent']:,} lost"
