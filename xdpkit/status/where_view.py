"""``xdpkit status --where`` as text: the sums, and every place that can lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from xdpkit.status.places import PLACES
from xdpkit.status.tables import number, table
from xdpkit.status.where import FIELDS

# What marks a place that has lost since the last look or, with none before, ever.
_MARK = ">"


def where_parts(where: Mapping[str, Any]) -> list[RenderableType]:
    """A table of the sums and one of the places, with rates if there was a look before."""
    seconds = where.get("seconds")
    views: list[RenderableType] = [_sums(where["sums"], "")]
    if seconds is not None:
        views.append(_sums(where["sums"], f"a second, in {seconds:.1f} s", rates=True))
    return [*views, _places(where["lost"])]


def _sums(rows: Sequence[Mapping[str, Any]], head: str, rates: bool = False) -> Table:
    """Each row is a sum: what was received is what follows. In transit has no rate."""
    fields = [field for field in FIELDS if not rates or field != "in_transit"]
    shown = table(f"\n{head}" if head else "", *(f"\n{_words(each)}" for each in fields), words=0)
    for row in rows:
        counts = row.get("per_second", {}) if rates else row
        shown.add_row(Text(row["what"]), *(_count(counts.get(field, 0)) for field in fields))
    return shown


def _places(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The places, those that lose first; what mends them for those alone."""
    shown = table("\nlost", "\npackets", "\na second", "\nat", "\nwhy, and what mends it", words=2)
    for row in sorted(rows, key=lambda row: (-row.get("per_second", 0), -row["packets"])):
        loses = is_losing(row)
        place = PLACES.get(row["place"])
        name = row["place"].replace("_", " ")
        words = ""
        if place and row["packets"]:
            words = f"{place.text}: {place.mend.format(at=row['at'])}"
        shown.add_row(
            Text(f"{_MARK if loses else ' '} {name}"),
            number(row["packets"]),
            _count(row["per_second"]) if "per_second" in row else Text(),
            Text(row["at"]),
            Text(words),
        )
    return shown


def is_losing(row: Mapping[str, Any]) -> bool:
    """Whether a place has lost since the last look or, without one before, at all."""
    return bool(row.get("per_second", row["packets"]))


def _count(count: float) -> Text:
    return Text(f"{count:,}" if isinstance(count, int) else f"{count:,.1f}")


def _words(field: str) -> str:
    return field.replace("_", " ")
