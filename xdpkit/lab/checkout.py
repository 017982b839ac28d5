"""The checkout that this xdpkit was installed from: home of caches and unpacked peers."""

from __future__ import annotations

import sys
from pathlib import Path


def checkout() -> Path | None:
    """The checkout whose ``.venv`` this runs in, or None outside of one."""
    root = Path(sys.prefix).parent
    return root if (root / "cext" / "meson.build").exists() else None
