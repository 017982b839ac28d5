"""How tables of the status look."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text


def table(*columns: str, words: int) -> Table:
    """A borderless table: the first and the last ``words`` columns are text, others numbers."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index, name in enumerate(columns):
        text = index == 0 or index >= len(columns) - words
        made.add_column(name, justify="left" if text else "right", no_wrap=index == 0)
    return made


def number(count: int) -> Text:
    """A count with its thousands apart."""
    return Text(f"{count:,}")
