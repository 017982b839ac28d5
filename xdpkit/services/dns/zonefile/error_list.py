"""Several errors as one: in the order of the files, each once, and not too many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from xdpkit.errors import ZoneError, ZoneErrors

# Lines about one file, and about all of a directory.
FILE_LINES, LINES = 20, 100


def zone_error(path: Path, found: Sequence[ZoneError]) -> ZoneError:
    """One error for all of a zone's; the first 20 are told, then how many more there are.

    In the order of the lines; those of included files come last.
    """
    once = {str(error): error for error in found}

    def place(error: ZoneError) -> tuple[bool, int, int]:
        return error.path != str(path), error.line or 0, error.column or 0

    ordered = sorted(once.values(), key=place)
    told = _told(ordered, FILE_LINES)
    return told[0] if len(told) == 1 else ZoneErrors(told)


def directory_error(found: Sequence[ZoneError]) -> ZoneError:
    """One error for those of a directory's files; the first 100 lines are told."""
    every = [error for whole in found for error in (whole.errors or (whole,))]
    lines = located(error for error in every if isinstance(error, ZoneError))
    told = _told(lines, LINES)
    return told[0] if len(told) == 1 else ZoneErrors(told)


def _told(errors: Sequence[ZoneError], most: int) -> list[ZoneError]:
    if len(errors) <= most:
        return list(errors)
    last = errors[most - 1]
    return [*errors[:most], ZoneError(last.path, f"and {len(errors) - most} more errors")]


def located(found: Iterable[ZoneError]) -> list[ZoneError]:
    """The errors with the columns of their records, where only the lines are known."""
    return [_with_column(error) for error in found]


def _with_column(error: ZoneError) -> ZoneError:
    if error.line is None or error.column is not None:
        return error
    column = 1
    try:
        with open(error.path, "rb") as file:  # noqa: PTH123
            for number, line in enumerate(file, 1):
                if number == error.line:
                    column = len(line) - len(line.lstrip()) + 1
                    break
    except OSError:
        return error
    return ZoneError(error.path, error.reason, error.line, column)
