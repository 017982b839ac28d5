"""A fact about the machine, or why it is unknown.

A probe never fails: what could not be read is ``Unknown`` with its reason, and what the driver or
kernel does not support is None.
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
    """Replaces a fact that could not be read."""

    reason: str


Fact: TypeAlias = T | Unknown | None


def read_fact(read: Callable[..., T | None], *arguments: Any) -> Fact[T]:
    """What ``read`` returns; None where the driver or kernel lacks it; or why it failed."""
    try:
        return read(*arguments)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY):
            return None
        where = f"{error.filename}: " if error.filename else ""
        return Unknown(f"{where}{error.strerror or error}")
    except (ValueError, LookupError, struct.error) as error:
        return Unknown(f"not understood: {error}")


def value_of(fact: Fact[T]) -> T | None:
    """The fact, or None where it is unknown."""
    return None if isinstance(fact, Unknown) else fact


def read_text(path: Path | str) -> str:
    """Reads a small file in /proc or /sys, without its newline. Raises OSError."""
    return Path(path).read_text("utf-8", "replace").strip()


def read_number(path: Path | str) -> int:
    """Reads a file that holds one number. Raises OSError and ValueError."""
    return int(read_text(path))


def parse_cpu_list(ranges: str) -> tuple[int, ...]:
    """Parses the kernel's list format, such as "0-2,7". Raises ValueError."""
    cpus: list[int] = []
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return tuple(cpus)


def unknowns(facts: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Dotted name and reason of every Unknown in these facts."""
    if isinstance(facts, Unknown):
        yield path, facts.reason
    elif is_dataclass(facts):
        for field in fields(facts):
            name = f"{path}.{field.name}" if path else field.name
            yield from unknowns(getattr(facts, field.name), name)


def to_json(facts: Any) -> Any:
    """The facts in JSON's types: bytes as hexadecimal, Unknown as {"unknown": reason}."""
    if isinstance(facts, Unknown):
        return {"unknown": facts.reason}
    if is_dataclass(facts):
        return {field.name: to_json(getattr(facts, field.name)) for field in fields(facts)}
    if isinstance(facts, Mapping):
        return {str(key): to_json(value) for key, value in facts.items()}
    if isinstance(facts, (list, tuple)):
        return [to_json(value) for value in facts]
    if isinstance(facts, bytes):
        return facts.hex()
    if facts is None or isinstance(facts, (bool, int, str)):
        return facts
    return str(facts)
