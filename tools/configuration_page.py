"""Writes docs/configuration.md from the declarations in xdpkit/config.

tools/dev python tools/configuration_page.py
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

from xdpkit.config.load import SECTIONS
from xdpkit.config.schema import Setting, name_of, settings

PAGE = Path(__file__).resolve().parents[1] / "docs/configuration.md"

HEAD = """\
# Configuration

Written by `tools/dev python tools/configuration_page.py`: edit the declarations in
`xdpkit/config/`, not this page.

The presence of a table turns its service on; `[interface]` and at least one of `[ntp]`, `[dns]` and
`[echo]` are required. Unknown tables and keys are errors. Paths are relative to the file.

`xdpkit check` gives file, line and column of each error. The last column says what becomes of a
changed key: *reload*, if it is one that can change while the server runs; *restart*, if it is fixed
when the server starts. A service or `[metrics]` that is put in or taken out needs a restart;
`[ntp.limit]`, `[dns.rrl]` and `[dns.geo]` do not.
"""


def page() -> str:
    """The whole page."""
    parts = [part for kind in SECTIONS.values() for part in sections(kind)]
    return "\n".join([HEAD, *parts])


def sections(kind: type) -> Iterator[str]:
    """A section's heading and keys, then the tables in it."""
    keys = settings(kind)
    rows = [row(key, setting) for key, setting in keys.items() if setting.table is None]
    text = " ".join(cleandoc(kind.__doc__ or "").split())
    head = "| key | takes | default | what it does | change |\n|---|---|---|---|---|"
    yield "\n".join([f"## [{name_of(kind)}]\n", f"{text}\n", head, *rows, ""])
    for setting in keys.values():
        if setting.table is not None:
            yield from sections(setting.table)


def row(key: str, setting: Setting) -> str:
    """A line of the table of keys."""
    change = "restart" if setting.restart else "reload"
    cells = (f"`{key}`", setting.accepts, default(setting), setting.doc, change)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def default(setting: Setting) -> str:
    """The default as it is written in a file, or in words where a file cannot say it."""
    if setting.example:
        return f"required, as in `{setting.example}`"
    return (
        setting.shown if setting.shown.startswith(("none", "random", "`")) else f"`{setting.shown}`"
    )


if __name__ == "__main__":
    PAGE.write_text(page())
