"""Moments as people and programs read them."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(seconds: float) -> str:
    """Seconds since the epoch as a time of day in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat("T", "seconds")
