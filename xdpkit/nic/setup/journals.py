"""Which journals are an interface's: by its identity, whatever it is called and wherever it is.

Within a network namespace that is its index. To another namespace an interface takes its hardware
address along and, if it is free there, its index. An instance that saw the interface leave wrote
down the index that it got; where it had been killed before, an operator says which one it is, by
naming it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from xdpkit.errors import JournalError, SettingError
from xdpkit.nic.setup import journal
from xdpkit.nic.setup.apply import Settings
from xdpkit.nic.setup.journal import Journal


def of_device(device: Settings, named: bool, directory: Path | None = None) -> list[Path]:
    """An interface's journals: this namespace's or, without one, those with which it came here.

    ``named`` is whether somebody said that it is this interface. Raises JournalError.
    """
    try:
        identity = device.identity()
    except SettingError:
        return []
    own = journal.path_of(identity["ifindex"], directory)
    if os.path.lexists(own):
        return [own]
    _, elsewhere = journal.paths(directory)
    return [path for path in elsewhere if _came_along(path, identity, named)]


def _came_along(path: Path, identity: dict[str, object], named: bool) -> bool:
    """Whether an interface of another namespace is this one; one that is being served is not."""
    try:
        found = journal.read(path)
    except JournalError:
        # Of no concern to us: whoever restores in that namespace is told.
        return False
    if found is None or found.in_use or found.owner.boot != journal.boot_id():
        return False
    is_here = named or found.moved_to == identity["ifindex"]
    return bool(found.owner.address) and found.owner.address == identity["address"] and is_here


def moved_here() -> list[tuple[int, Path]]:
    """The journals of other namespaces that name an interface's index here."""
    found = []
    for path in journal.paths()[1]:
        with suppress(JournalError):
            if (each := journal.read(path)) and each.moved_to:
                found.append((each.moved_to, path))
    return found


def left_behind(directory: Path | None = None) -> list[tuple[Path, Journal | JournalError]]:
    """This namespace's journals with what they say, or why that is not believed."""
    found: list[tuple[Path, Journal | JournalError]] = []
    for path in journal.paths(directory)[0]:
        try:
            if each := journal.read(path):
                found.append((path, each))
        except JournalError as error:
            found.append((path, error))
    return found
