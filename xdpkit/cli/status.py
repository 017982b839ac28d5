"""``xdpkit status``: one look, or one a second with the rates between them."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any

from xdpkit.errors import UsageError
from xdpkit.runtime.health import EXIT

Document = Mapping[str, Any]

# ANSI: the cursor to the upper left, and all below it erased.
_CLEAR = "\x1b[H\x1b[J"


def status(options: Namespace, ask: Callable[[], dict[str, Any]]) -> int:
    """Shows the document that ``ask`` gets; returns the exit status for its health."""
    if options.watch is not None:
        if not 0.1 <= options.watch <= 3600:
            raise UsageError(f"--watch {options.watch:g}: give 0.1 to 3600 seconds")
        return _watch(options, ask)
    document = ask()
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        _show(options, document)
    return exit_status(document)


def exit_status(document: Document) -> int:
    """0 for a healthy instance, and for one that is too old to say."""
    return EXIT.get(document.get("health", {}).get("state"), 0)


def _show(options: Namespace, document: Document) -> None:
    # Here: rich makes --json slow.
    from xdpkit._core._stats import VERDICTS
    from xdpkit.status import view

    if options.where or options.watch is not None:
        view.show_where(document)
    else:
        view.show(document, VERDICTS)


def _watch(options: Namespace, ask: Callable[[], dict[str, Any]]) -> int:
    """Shows rates until interrupted; the rates are those between its own looks."""
    from xdpkit.status.rates import add_rates

    before: tuple[float, dict[str, Any]] | None = None
    while True:
        document, now = ask(), time.monotonic()
        where = document["where"]
        if before is None:
            # Not since somebody else's look.
            _without_rates(where)
        else:
            add_rates(where, before[1], now - before[0])
        before = now, where
        if options.json:
            print(json.dumps(document), flush=True)
        else:
            if sys.stdout.isatty():
                print(_CLEAR, end="")
            _show(options, document)
            sys.stdout.flush()
        time.sleep(options.watch)


def _without_rates(where: dict[str, Any]) -> None:
    where.pop("seconds", None)
    for row in (*where["sums"], *where["lost"]):
        row.pop("per_second", None)
