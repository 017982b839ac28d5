"""Has a zone's warnings made: those of the zone itself, and those that need what is around it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from xdpkit.reach import reach
from xdpkit.services.dns.compiler import arena_file
from xdpkit.services.dns.zonefile.lint import lint
from xdpkit.services.dns.zonefile.sources import SUFFIX
from xdpkit.services.dns.zonefile.zone import Zone, name_text


class Linter:
    """Lints zones before they are compiled; ``served`` is the cache of what is served now."""

    def __init__(self, served: Path | None) -> None:
        self._served = served

    def warnings(self, zone: Zone) -> dict[str, Any]:
        """What is reported of a zone, besides its arena."""
        directory = zone.path.parent

        def elsewhere(name: bytes) -> bool:
            """Whether a name is that of a zone beside this one."""
            return os.path.exists(reach(directory / (name_text(name) + SUFFIX)))  # noqa: PTH110

        lint(zone, int(time.time()), self._serial(zone.origin), elsewhere)
        return {"warnings": zone.warnings, "unlisted": zone.unlisted}

    def _serial(self, name: bytes) -> int | None:
        """The serial that is served now, if that is known."""
        if self._served is None:
            return None
        file = reach(self._served / arena_file.file_name(name))
        try:
            return arena_file.read_cached(file).arena.serial
        except (OSError, ValueError, MemoryError):
            # None, or unusable: then the zone is compiled, and there is nothing to compare with.
            return None
