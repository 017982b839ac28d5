"""Several errors as one: in the order of the files, each once, and not too many."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from xdpkit.errors import FILE_LINES, ZoneError, ZoneErrors, shortened
from xdpkit.regular_file import open_regular

# Lines about all files of a directory, or about one that is checked.
LINES = 100


def zone_error(path: Path, found: Sequence[ZoneError], told: int = FILE_LINES) -> ZoneError:
    """One error for all of a zone's; the first are told, then how many more there are.

    In the order of the lines; those of included files come last.
    """
    once = {str(error): error for error in found}

    def place(error: ZoneError) -> tuple[bool, int, int]:
        return error.path != str(path), error.line or 0, error.column or 0

    ordered = sorted(once.values(), key=place)
    lines = shortened(ordered, told)
    return lines[0] if len(lines) == 1 else ZoneErrors(lines)


def directory_error(found: Sequence[ZoneError]) -> ZoneError:
    """One error for those of a directory's files; the first 100 lines are told."""
    every = [error for whole in found for error in (whole.errors or (whole,))]
    lines = located(error for error in every if isinstance(error, ZoneError))
    # What is wrong with one file has been shortened by its reader.
    told = lines if len({error.path for error in lines}) == 1 else shortened(lines, LINES)
    return told[0] if len(told) == 1 else ZoneErrors(told)


def located(found: Iterable[ZoneError]) -> list[ZoneError]:
    """The errors with the columns of their records, where only the lines are known."""
    found = list(found)
    columns = {
        path: _first_columns(path, {error.line for error in found if error.path == path})
        for path in {error.path for error in found if error.line and error.column is None}
    }
    return [
        ZoneError(error.path, error.reason, error.line, columns[error.path][error.line])
        if error.column is None and error.line in columns.get(error.path, {})
        else error
        for error in found
    ]


def _first_columns(path: str, lines: set[int | None]) -> dict[int | None, int]:
    """Where the text of each of these lines begins, from 1."""
    columns: dict[int | None, int] = {}
    last = max((number for number in lines if number is not None), default=0)
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            for number, line in enumerate(islice(file, last), 1):
                if number in lines:
                    columns[number] = len(line) - len(line.lstrip()) + 1
    except OSError:
        return {}
    return columns or {1: 1}
