"""The progress of a zone load: a bar on a terminal, and the summary afterwards."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from xdpkit.runtime.closing import Closing
from xdpkit.runtime.notify import notify
from xdpkit.services.dns.serving.batch import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

log = logging.getLogger("xdpkit")

# A shorter load is over before anyone could read a bar.
PATIENCE_SECONDS = 0.5

# Time between two redraws.
REDRAW_SECONDS = 0.1

# The startup extension that the service manager is repeatedly asked for during the first load:
# longer than any step between two reports takes.
EXTEND_USEC = 60_000_000

# A load that takes longer is logged when it begins.
LONG_SECONDS = 1.0


class LoadProgress(Closing):
    """A progress bar on standard error if that is a terminal. A context manager."""

    def __init__(self, directory: Path) -> None:
        self._bar = _bar() if sys.stderr.isatty() else None
        if self._bar:
            self._task = self._bar.add_task(f"zones in {directory}", total=1.0, rate="")
        self._started = time.monotonic()
        self._next = self._started + PATIENCE_SECONDS
        self._records: dict[str, int] = {}

    @property
    def visible(self) -> bool:
        """Whether there is a terminal to show it on."""
        return self._bar is not None

    def __call__(self, progress: Progress) -> None:
        """Shows a progress report."""
        if not self._bar:
            return
        known = self._records.get(progress.path, 0)
        self._records[progress.path] = max(known, progress.records)
        now = time.monotonic()
        if now < self._next:
            return
        self._bar.start()
        self._next = now + REDRAW_SECONDS
        rate = sum(self._records.values()) / (now - self._started)
        self._bar.update(self._task, completed=progress.share, rate=f"{rate:,.0f} records/s")
        self._bar.refresh()

    def finish(self, line: str, seconds: float) -> None:
        """Summarizes a load on the terminal if it took noticeable time."""
        self.close()
        if self._bar and seconds > 1:
            self._bar.console.print(line, highlight=False)

    def close(self) -> None:
        """Removes the bar."""
        if self._bar and self._bar.live.is_started:
            self._bar.stop()


def _bar() -> Bar:
    # Here, since a service has no terminal: importing it is a tenth of a start.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        transient=True,
        auto_refresh=False,
    )


def describe_load(names: int, size: int, seconds: float, cached: int, compiled: int) -> str:
    """A one-line summary of a load of zones, ``cached`` and ``compiled`` ones."""
    how = " and ".join(
        f"{count:,} {what}" for count, what in ((cached, "cached"), (compiled, "compiled")) if count
    )
    rate = f" ({names / seconds:,.0f} names/s)" if seconds > 1 else ""
    zones = "zone" if cached + compiled == 1 else "zones"
    return f"{how or 'no'} {zones}, {names:,} names in {seconds:.1f} s{rate}, {size:,} bytes"


class ProgressReporter:
    """Reports a load in progress: by a bar for the first one, or in the log; to systemd too."""

    def __init__(self, directory: Path, bar: LoadProgress | None = None) -> None:
        self._directory, self._bar = directory, bar
        self._started = self._notified = time.monotonic()
        self._reported = bar is not None and bar.visible

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._bar is not None:
            self._bar(progress)
        if now - self._started > LONG_SECONDS and not self._reported:
            self._reported = True
            log.info("zones: compiling %s", self._directory)
        if self._bar is not None and now - self._notified > LONG_SECONDS:
            self._notified = now
            notify(f"EXTEND_TIMEOUT_USEC={EXTEND_USEC}")
