"""The benchmark's tables for a human reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.table import Table

Facts = Mapping[str, Any]


def _count(value: float) -> str:
    return f"{value / 1e3:,.0f}k" if value >= 10_000 else f"{value:,.0f}"


def _us(value: float) -> str:
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


def _share(value: float) -> str:
    return f"{value:.2f}"


# Heading, key, formatter, and whether minimum and maximum are shown below it.
COLUMNS: tuple[tuple[str, str, Callable[[float], str], bool], ...] = (
    ("best\nanswers/s", "answers_per_s", _count, True),
    ("without\nloss/s", "lossfree_per_s", _count, True),
    ("over-\nloaded/s", "overload_per_s", _count, False),
    ("CPU us/\nanswer", "cpu_us_per_answer", _us, True),
    ("user", "cpu_user_us", _us, False),
    ("over-\nloaded", "cpu_us_saturated", _us, False),
    ("latency\np50 us", "p50_us", _us, False),
    ("p99", "p99_us", _us, False),
    ("p99.9", "p99_9_us", _us, False),
    ("of the\necho", "ratio_to_echo", _share, True),
)


def rates(rows: list[Facts]) -> Table:
    """All rows: medians, with min..max where the spread matters most."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    for heading, *_ in COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row["name"], *(_cell(row, *column[1:]) for column in COLUMNS))
    return table


def _cell(row: Facts, key: str, show: Callable[[float], str], spread: bool) -> str:
    if key not in row:
        return ""
    text = show(row[key])
    if spread and row[f"{key}_min"] != row[f"{key}_max"]:
        text += f"\n[dim]{show(row[f'{key}_min'])}..{show(row[f'{key}_max'])}[/]"
    return text


def comparisons(found: Mapping[str, Facts]) -> list[str]:
    """One line per pair of rows: ours as a multiple of theirs."""
    return [
        f"{pair}: answers {facts['answers_per_s']:.2f}, without loss "
        f"{facts['lossfree_per_s']:.2f}, CPU per answer {facts['cpu_us_per_answer']:.2f} "
        f"(overloaded {facts['cpu_us_saturated']:.2f})"
        for pair, facts in found.items()
    ]


def text_table(headings: list[str], rows: list[list[str]]) -> Table:
    """A table of strings, its first column left-aligned."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left")
    for row in rows:
        table.add_row(*row)
    return table
