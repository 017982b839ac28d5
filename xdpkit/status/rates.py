"""Rates between two looks at ``where``: for a status that was asked for before, and ``--watch``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xdpkit.status.where import FIELDS


def add_rates(now: dict[str, Any], before: Mapping[str, Any], seconds: float) -> None:
    """Adds ``per_second`` to each sum and each place of ``now``, which is ``seconds`` younger.

    What was not there before has counted from 0; a count that is smaller has begun again.
    """
    old_sums = {row["what"]: row for row in before["sums"]}
    for row in now["sums"]:
        old = old_sums.get(row["what"], {})
        row["per_second"] = {
            key: _rate(row[key], old.get(key, 0), seconds) for key in FIELDS if key != "in_transit"
        }
    old_places = {(row["place"], row["at"]): row["packets"] for row in before["lost"]}
    for row in now["lost"]:
        old = old_places.get((row["place"], row["at"]), 0)
        row["per_second"] = _rate(row["packets"], old, seconds)
    now["seconds"] = round(seconds, 3)


def _rate(now: int, before: int, seconds: float) -> float:
    return round(max(0, now - before) / max(seconds, 1e-3), 1)
