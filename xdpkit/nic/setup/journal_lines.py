"""The lines of a journal, from the bytes of a file that may say anything."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from xdpkit.config.interface import is_interface_name
from xdpkit.nic.setup import schema
from xdpkit.nic.setup.schema import is_number, shown
from xdpkit.nic.setup.setting import Value

VERSION = 1

# The longest has three RSS tables.
_LONGEST_LINE = 1 << 20

# PIDs, indexes and steps are C ints; a time is in clock ticks.
_INT, _LONG = (1 << 31) - 1, (1 << 63) - 1

# linux/netdevice.h, MAX_ADDR_LEN: at most 32 bytes; tunnels have none.
_ADDRESS = re.compile(r"(?:[0-9a-f]{2}(?::[0-9a-f]{2}){0,31})?", re.ASCII)
_BOOT = re.compile(r"[0-9a-f-]{1,64}", re.ASCII)

_HEAD: dict[str, Callable[[Any], bool]] = {
    "interface": is_interface_name,
    "ifindex": lambda value: is_number(value, _INT, least=1),
    "address": lambda value: isinstance(value, str) and bool(_ADDRESS.fullmatch(value)),
    "boot": lambda value: isinstance(value, str) and bool(_BOOT.fullmatch(value)),
    "pid": lambda value: is_number(value, _INT, least=1),
    "started": lambda value: is_number(value, _LONG),
}


@dataclass
class Entry:
    """One change; ``got`` is what the driver turned ``new`` into, once that is known."""

    step: int
    setting: str
    old: Value
    new: Value
    got: Value = None
    done: bool = False


class LineError(ValueError):
    """What is wrong with a line, by number from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


@dataclass
class Lines:
    """What a journal says: whose changes these are, and those not undone.

    ``following`` is the next step's number, ``moved_to`` the index of the interface in the
    namespace to which it was moved, or 0.
    """

    head: dict[str, Any]
    entries: list[Entry]
    following: int = 0
    moved_to: int = 0


def parse(lines: Sequence[bytes]) -> Lines:
    """The lines of a file. Raises LineError."""
    entries: dict[int, Entry] = {}
    found = Lines({}, [])
    for number, raw in enumerate(lines, 1):
        try:
            line = _object(raw)
            if number == 1:
                found.head = _checked_head(line)
            elif line.keys() == {"moved"} and is_number(line["moved"], _INT, least=1):
                found.moved_to = line["moved"]
            else:
                found.following = max(found.following, _add(entries, line) + 1)
        except ValueError as error:
            raise LineError(number, str(error)) from error
    found.entries = list(entries.values())
    return found


def _object(raw: bytes) -> dict[str, Any]:
    if len(raw) > _LONGEST_LINE:
        raise ValueError(f"longer than {_LONGEST_LINE:,} bytes")
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON") from error
    if not isinstance(line, dict):
        raise ValueError("not an object")
    return line


def _checked_head(line: dict[str, Any]) -> dict[str, Any]:
    if not is_number(line.get("version"), _INT) or line.pop("version") != VERSION:
        raise ValueError("of another version")
    if line.keys() != _HEAD.keys():
        raise ValueError("the first line does not say whose changes these are")
    for name, is_valid in _HEAD.items():
        if not is_valid(line[name]):
            raise ValueError(f"{name}: {shown(line[name])}")
    return line


def _add(entries: dict[int, Entry], line: dict[str, Any]) -> int:
    """Adds a change, its result, or its undoing; returns its step."""
    if line.keys() == {"step", "setting", "old", "new"}:
        step = line["step"]
        if not is_number(step, _INT) or step in entries:
            raise ValueError(f"step: {shown(step)}")
        schema.check(line["setting"], line["old"], line["new"])
        entries[step] = Entry(**line)
    elif line.keys() == {"done", "got"}:
        entry = _entry(entries, line["done"])
        if line["got"] is not None:
            schema.check(entry.setting, line["got"])
        entry.got, entry.done = line["got"], True
        return entry.step
    elif line.keys() == {"undone"}:
        step = _entry(entries, line["undone"]).step
        del entries[step]
    else:
        raise ValueError("neither a change, nor its result, nor its undoing")
    return int(step)


def _entry(entries: dict[int, Entry], step: Any) -> Entry:
    if not is_number(step, _INT) or step not in entries:
        raise ValueError(f"no such step: {shown(step)}")
    return entries[step]
