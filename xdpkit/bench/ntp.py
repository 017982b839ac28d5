"""``bench --ntp``: the NTP server in detail, in four parts.

Interleaved clients at a fixed rate; the offset that a client measures; the error of transmit
timestamps; and the cost of each feature.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any

from rich.console import Console

from xdpkit.bench import ntp_error, ntp_interleaved, ntp_offset, ntp_rates
from xdpkit.bench.table import text_table

ROUNDS = 3
SECONDS = 1.0

Say = Callable[[str], None]
Facts = dict[str, Any]


def measure(options: Namespace, say: Say) -> Facts:
    """All four parts; ``failed`` lists what was answered incorrectly."""
    rounds, seconds = options.rounds or ROUNDS, options.seconds or SECONDS
    interleaved = ntp_interleaved.measure(3 * seconds, say)
    facts = {
        "mode": interleaved.pop("mode"),
        "rounds": rounds,
        "seconds": seconds,
        "interleaved": interleaved,
        "offset": ntp_offset.measure(say),
        "transmit_error": ntp_error.measure(rounds, seconds, say),
        "rates": ntp_rates.measure(rounds, seconds, say),
    }
    return facts | {"failed": failures(facts)}


def failures(facts: Facts) -> list[str]:
    """What makes the run fail: a wrong reply, or no right one."""
    rows = [{"name": "interleaved at a rate"} | facts["interleaved"], *facts["rates"]]
    return [f"{row['name']}: {row['wrong']:,} wrong replies" for row in rows if row["wrong"]] + [
        f"{row['name']}: no right reply at all" for row in rows if not row["answers_per_s"]
    ]


# --------------------------------------------------------------------------------------------------


def show(facts: Facts, console: Console) -> None:
    """Prints the facts for a human reader: one table per part."""
    console.print(
        f"NTP, medians of {facts['rounds']} rounds (least..most); {facts['driver']}, "
        f"{facts['mode']}; Linux {facts['kernel']}, {facts['cpu']}; generator on CPU "
        f"{facts['cpus']['generator']}, server on {facts['cpus']['server']}\n"
    )
    console.print(text_table(*interleaved_table(facts["interleaved"])))
    console.print()
    console.print(text_table(*offset_table(facts["offset"])))
    console.print()
    console.print(text_table(*error_table(facts["transmit_error"])))
    console.print()
    console.print(text_table(*rates_table(facts["rates"])))


Table = tuple[list[str], list[list[str]]]


def interleaved_table(facts: Facts) -> Table:
    """Interleaved clients at a fixed rate."""
    underway = facts["underway_us"]
    return (
        [f"interleaved, {facts['rate_per_s']:,} requests/s for {facts['seconds']:g} s", ""],
        [
            ["answers/s", f"{facts['answers_per_s']:,.0f}"],
            ["wrong / lost", f"{facts['wrong']:,} / {facts['lost']:,}"],
            ["share of replies that are interleaved", f"{facts['share']:.4f}"],
            [
                f"share with a reported transmit time ({facts['tx_timestamps']})",
                f"{facts['tx_true_share']:.4f}",
            ],
            [
                "reported transmit time to arrival, p50 / p99 us",
                f"{underway['p50']:.2f} / {underway['p99']:.2f}",
            ],
        ],
    )


def offset_table(facts: Facts) -> Table:
    """One client's view."""
    return (
        [
            f"offset, best of {facts['exchanges']}, us (bound {facts['bound_us']:g})",
            "best",
            "its delay",
            "median",
        ],
        [
            [
                name,
                f"{facts[name]['best_offset_us']:+.1f}",
                f"{facts[name]['best_delay_us']:.1f}",
                f"{facts[name]['median_offset_us']:+.1f}",
            ]
            for name in ("basic", "interleaved")
        ],
    )


def error_table(rows: list[Facts]) -> Table:
    """True transmit time minus transmit timestamp; the median with the rounds' spread."""
    return (
        ["transmit error, ns", "compensation", "control plane", *ntp_error.PERCENTILES],
        [
            [
                row["load"],
                row["compensation"],
                row["control_plane"],
                *(
                    spread(row, name, f"{row[name]:,.0f}") if name == "p50" else f"{row[name]:,.0f}"
                    for name in ntp_error.PERCENTILES
                    if name in row
                ),
            ]
            for row in rows
        ],
    )


def rates_table(rows: list[Facts]) -> Table:
    """The cost of each feature."""
    return (
        ["rates", "answers/s", "of plain", "CPU us/answer", "wrong", "lost"],
        [
            [
                row["name"],
                spread(row, "answers_per_s", f"{row['answers_per_s']:,.0f}"),
                spread(row, "ratio_to_plain", f"{row['ratio_to_plain']:.2f}", 2),
                f"{row['thread_cpu_us']:.2f}",
                f"{row['wrong']:,}",
                f"{row['lost']:,}",
            ]
            for row in rows
        ],
    )


def spread(row: Facts, name: str, text: str, digits: int = 0) -> str:
    """A median with the minimum and maximum of the rounds."""
    least, most = row[f"{name}_min"], row[f"{name}_max"]
    return text if least == most else f"{text} ({least:,.{digits}f}..{most:,.{digits}f})"
