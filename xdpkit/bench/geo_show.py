"""The tables of ``bench --geo`` for a human reader."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from xdpkit.bench.table import text_table
from xdpkit.bench.zones_show import ranged

Facts = dict[str, Any]


def show(facts: Facts, console: Console) -> None:
    """Prints the facts: what was to be reached, and a table for each part."""
    console.print(
        f"A pool of {facts['servers']:,} servers; {facts['driver']}, {facts['mode']}, one queue; "
        f"Linux {facts['kernel']}, {facts['cpu']}; medians of {facts['rounds']} rounds "
        f"(least..most); load average at the start {facts['load_average']:.1f}\n"
    )
    for table in (targets(facts), offwire(facts), rates(facts), memory(facts)):
        console.print(table)
        console.print()
    for name, reason in facts["skipped"].items():
        console.print(f"not measured: {name}: {reason}", style="yellow", markup=False)


def targets(facts: Facts) -> Any:
    """What was to be reached."""
    return text_table(
        ["", "measured", "target", "measured/target", ""],
        [
            [
                row["what"],
                f"{row['value']:.2f}",
                f"{row['bound']} {row['target']:g}",
                f"{row['ratio']:.2f}",
                "met" if row["met"] else "missed",
            ]
            for row in facts["targets"]
        ],
    )


def offwire(facts: Facts) -> Any:
    """Nanoseconds of an answer."""
    return text_table(
        [
            "off the wire, batches of 64",
            "bytes",
            "ns, best",
            "median",
            "over plain",
            "instructions",
        ],
        [
            [
                row["name"],
                f"{row['reply_bytes']:.0f}",
                f"{row['ns']:.1f}",
                f"{row['ns_median']:.1f}",
                f"{row['over_plain']:.2f}" if "over_plain" in row else "",
                f"{row['instructions']:,.0f}" if "instructions" in row else "",
            ]
            for row in facts["offwire"]
        ],
    )


def rates(facts: Facts) -> Any:
    """Answers per second, and CPU time."""
    return text_table(
        [
            "4 records, client subnet",
            "1000 answers/s",
            "over plain",
            f"CPU us at {facts['load_per_s'] / 1e3:,.0f} k/s",
            "ours: answers",
            "ours: CPU",
            "lost",
        ],
        [
            [
                row["name"],
                ranged(row, "answers_per_s", ",.0f", 1e-3),
                ranged(row, "over_plain"),
                ranged(row, "cpu_us_per_answer"),
                ranged(row, "ours_over_answers_per_s"),
                ranged(row, "ours_over_cpu_us_per_answer"),
                f"{row['lost']:,}",
            ]
            for row in facts["rates"]
        ],
    )


def memory(facts: Facts) -> Any:
    """Databases and memory."""
    database, box = facts["database"], facts["box"]
    networks = facts["networks"]
    file = f"{networks['city']:,} networks, a file of {database['file_bytes'] / 1e6:,.0f} MB"
    return text_table(
        ["", "s", "MB at most"],
        [
            [
                f"{file}: {what}",
                ranged(database, f"{key}_seconds"),
                ranged(database, f"{key}_peak_bytes", ",.0f", 1e-6),
            ]
            for what, key in (("read and kept", "first"), ("from the cache", "cached"))
        ]
        + [
            [
                f"the whole box, {networks['country']:,} networks, NTP: {what}",
                "",
                f"{box[key] / 1e6:,.0f}",
            ]
            for what, key in (
                ("at rest", "idle_bytes"),
                ("after queries", "resident_bytes"),
                ("during a reload, at most", "reload_bytes"),
            )
        ],
    )
