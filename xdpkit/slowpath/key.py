"""By what a listener's sockets are known."""

from __future__ import annotations

Key = tuple[str, str, int]
"""Address, service, port."""
