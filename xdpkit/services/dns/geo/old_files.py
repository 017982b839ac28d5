"""Files of a cache directory that nothing uses any more."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from xdpkit.reach import reach


def remove_old(directory: Path, is_unused: Callable[[str], bool], age: float) -> None:
    """Removes those files by their names that were written ``age`` seconds ago or earlier.

    What cannot be removed stays.
    """
    before = time.time() - age
    with suppress(OSError), os.scandir(reach(directory)) as entries:
        for entry in entries:
            if is_unused(entry.name):
                with suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime <= before:
                        os.unlink(entry)  # noqa: PTH108
