"""A fact about the machine, or why it is not known.

A probe never fails: what could not be read is ``Unknown`` with its reason, what the driver or
kernel does not have is None.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Unknown:
    """Stands for a fact that could not be read."""

    reason: str


Fact: TypeAlias = T | Unknown | None


def look(read: Callable[..., T | None], *arguments: Any) -> Fact[T]:
    """What ``read`` gives, or None where driver or kernel do not have that, or why it failed."""
    try:
        return read(*arguments)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY):
            return None
        where = f"{error.filename}: " if error.filename else ""
        return Unknown(f"{where}{error.strerror or error}")
    except (ValueError, LookupError, struct.error) as error:
        return Unknown(f"not understood: {error}")


def known(fact: Fact[T]) -> T | None:
    """The fact, or None where it is not known."""
    return None if isinstance(fact, Unknown) else fact


def text(path: Path | str) -> str:
    """A small file of /proc or /sys, without its newline. Raises OSError."""
    return Path(path).read_text("utf-8", "replace").strip()


def number(path: Path | str) -> int:
    """The same, of a number. Raises OSError and ValueError."""
    return int(text(path))


def cpu_list(listed: str) -> tuple[int, ...]:
    """The CPUs of "0-2,7", as the kernel writes lists. Raises ValueError."""
    cpus: list[int] = []
    for part in filter(None, listed.split(",")):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return tuple(cpus)


def unknowns(facts: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Dotted name and reason of every Unknown within."""
    if isinstance(facts, Unknown):
        yield path, facts.reason
    elif is_dataclass(facts):
        for field in fields(facts):
            name = f"{path}.{field.name}" if path else field.name
            yield from unknowns(getattr(facts, field.name), name)


def plain(facts: Any) -> Any:
    """The same in types that JSON has: bytes in hexadecimal, {"unknown": reason}."""
    if isinstance(facts, Unknown):
        return {"unknown": facts.reason}
    if is_dataclass(facts):
        return {field.name: plain(getattr(facts, field.name)) for field in fields(facts)}
    if isinstance(facts, Mapping):
        return {str(key): plain(value) for key, value in facts.items()}
    if isinstance(facts, (list, tuple)):
        return [plain(value) for value in facts]
    if isinstance(facts, bytes):
        return facts.hex()
    if facts is None or isinstance(facts, (bool, int, str)):
        return facts
    return str(facts)
