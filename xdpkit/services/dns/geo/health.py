"""Status files: what monitors say of each server's health.

``DIRECTORY/FILE.json`` is an object of keys and states; a record names its state as ``FILE/KEY``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import IntEnum
from operator import itemgetter
from pathlib import Path
from typing import Any

from xdpkit.config.toml_document import quoted
from xdpkit.errors import ConfigError, ZoneError
from xdpkit.escape import escape
from xdpkit.reach import denied, reach
from xdpkit.services.dns.geo.json_text import JsonDocument, Report, text_of
from xdpkit.services.dns.geo.values import described, number
from xdpkit.services.dns.zonefile.sources import Reading, Source, stat_of

# A state takes some 30 bytes: half a million servers.
FILE_BYTES_MAX = 1 << 24

# Of states that are handed over: some thousand servers' (handover/wire.py).
HANDED_BYTES = 1 << 18

# Files that may be too large for what is left of that before no more are tried.
_MISSED_MAX = 10

# Each is looked at every second.
FILES_MAX = 1000

_SUFFIX = ".json"

_HEALTHY = "{} count as healthy until it can be read"


class Status(IntEnum):
    """GeoDNS's states."""

    UNKNOWN = 0
    UNHEALTHY = 1
    HEALTHY = 2


# None: there is nothing to go by.
_ANSWERED = (Status.HEALTHY, None)

States = Mapping[str, Status]


Named = Callable[[], Collection[str]]
"""The files that records name, without ``.json``."""


@dataclass(frozen=True, slots=True)
class _File:
    """A status file as it was read last, and what is wrong with it now, or empty."""

    states: States | None
    source: Source | None = None
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Failing:
    """What is wrong with a status file, or with their directory."""

    line: str
    since: float
    """In seconds since the epoch."""


def _say_nothing(_: str) -> None:
    pass


class HealthFiles:
    """The states of one directory.

    ``say`` is told of each thing that goes wrong, once, and ``say_well`` when it is well again. Not
    safe to use from several threads at once. ``refresh`` may wait for the file system.
    """

    def __init__(
        self,
        directory: Path,
        say: Callable[[str], None] = _say_nothing,
        say_well: Callable[[str], None] = _say_nothing,
    ) -> None:
        self.directory, self._say, self._say_well = directory, say, say_well
        self._files: dict[str, _File] = {}
        self._twins: dict[str, str] = {}
        self._failing: dict[str, Failing] = {}

    def copy(self) -> HealthFiles:
        """One that has the same states, and changes apart from this one."""
        made = HealthFiles(self.directory, self._say, self._say_well)
        made._files, made._failing = dict(self._files), dict(self._failing)
        return made

    def handed_over(self) -> dict[str, Any]:
        """What a successor takes over (JSON): as much as HANDED_BYTES hold.

        Those of files that are no good now come first: others it can read.
        """
        found = [
            (not file.wrong, len(file.states), name, file.states)
            for name, file in list(self._files.items())
            if file.states is not None
        ]
        files: dict[str, States] = {}
        left, missed = HANDED_BYTES, 0
        for _, count, name, states in sorted(found, key=itemgetter(0, 1)):
            size = len(json.dumps({name: states})) if count < left else left + 1
            if size <= left:
                left -= size
                files[name] = states
            else:
                missed += 1
            # The event loop waits meanwhile.
            if missed == _MISSED_MAX:
                break
        return {"directory": str(self.directory), "files": files}

    def take_over(self, handed_over: Mapping[str, Any]) -> None:
        """Begins with a predecessor's states, if they are of the same directory.

        They stay where a file cannot be read.
        """
        if handed_over["directory"] == str(self.directory):
            self._files = {
                name: _File({key: Status(state) for key, state in states.items()})
                for name, states in handed_over["files"].items()
            }

    @property
    def failing(self) -> list[Failing]:
        """What is wrong, as of the last look."""
        return list(self._failing.values())

    def refresh(self, named: Named | None = None) -> bool:
        """Reads what has changed; returns whether any state has.

        A file that is no good, or gone, keeps the states that it had. One that no record names is
        forgotten when it is gone, and nothing is said of it; ``named`` is asked only if it matters.
        Without it, all count as named.
        """
        try:
            names = self._names()
        except OSError as error:
            self._fail({"": self._directory_line(error)})
            return False
        changed = False
        for name, path in names.items():
            before = self._files.get(name, _File(None))
            after = self._read(path, before)
            changed |= after.states != before.states
            self._files[name] = after
        gone = self._files.keys() - names.keys()
        wrong = {name: file.wrong for name, file in self._files.items() if file.wrong}
        is_named = self._files if named is None or not (gone or wrong or self._twins) else named()
        for name in gone:
            path, states = self._path(name), self._files[name].states
            wrong.pop(name, None)
            if states is None or name not in is_named:
                del self._files[name]
            else:
                wrong[name] = escape(f"{path}: gone: its last states stay in use")
                self._files[name] = _File(states, None, wrong[name])
        wrong |= self._twins
        self._fail({key: wrong[key] for key in wrong if key.partition("/")[0] in is_named})
        return changed

    def _fail(self, wrong: Mapping[str, str]) -> None:
        """Takes note of what is wrong now, and says what was not wrong before.

        By file, as records call it; "" is the directory, ``FILE/...`` one that is not read.
        """
        before, now = self._failing, time.time()
        for key, line in wrong.items():
            if key not in before:
                self._say(line)
        # While the directory cannot be read, nothing else is known.
        kept = before if "" in wrong else {}
        for key in before.keys() - wrong.keys() - kept.keys():
            if not key:
                self._say_well(f"{self.directory}: can be read again")
            elif key in self._files and not self._files[key].wrong:
                self._say_well(escape(f"{self._path(key)}: its states are in use again"))
        self._failing = {**kept} | {
            key: Failing(line, before[key].since if key in before else now)
            for key, line in wrong.items()
        }

    def status(self, name: str) -> Status | None:
        """The state of ``FILE/KEY``; None if no such file has been read yet."""
        name, _, key = name.partition("/")
        file = self._files.get(name)
        if file is None or file.states is None:
            return None
        return file.states.get(key, Status.UNKNOWN)

    def healthy(self, name: str) -> bool:
        """Whether a record of this ``FILE/KEY`` is to be answered.

        What a file says nothing about, or that it is unknown, is not: so it is in GeoDNS. Without
        the file itself there is nothing to go by, and it is.
        """
        return not name or self.status(name) in _ANSWERED

    def states_of(self, names: Iterable[str]) -> bytes:
        """A byte for each, as selections take them: HEALTHY if it is to be answered."""
        well, ill = Status.HEALTHY, Status.UNHEALTHY
        return bytes([well if self.status(name) in _ANSWERED else ill for name in names])

    def unmatched(self, used: Iterable[str]) -> list[str]:
        """What no record has of the files' keys, and no file has of the records': sorted.

        A file that records name and that is not there is one, ``FILE/``. Of one that could not be
        read yet, nothing is known.
        """
        of_files = {
            f"{name}/{key}" for name, file in self._files.items() for key in file.states or ()
        }
        found = set()
        for name in of_files ^ set(used):
            file = name.partition("/")[0]
            if file not in self._files:
                found.add(f"{file}/")
            elif self._files[file].states is not None:
                found.add(name)
        return sorted(found)

    def unmatched_line(self, name: str) -> str:
        """One line about a name of ``unmatched``."""
        file, _, key = name.partition("/")
        path = self._path(file)
        if file not in self._files:
            return escape(f"{path}: not there, and records name it: they count as healthy")
        if key in (self._files[file].states or ()):
            return escape(f"{path}: no record that is served has {quoted(key)}: remove it")
        text = f"{path}: it has no {quoted(key)}, which records name: they count as unhealthy"
        return escape(text)

    def _path(self, name: str) -> Path:
        return self.directory / (name + _SUFFIX)

    def _names(self) -> dict[str, Path]:
        """The status files, by what records call them. Raises OSError."""
        found = sorted(os.listdir(reach(self.directory)))  # noqa: PTH208
        files = [
            file for file in found if file.lower().endswith(_SUFFIX) and not file.startswith(".")
        ]
        if len(files) > FILES_MAX:
            raise OSError(0, f"{len(files)} status files, at most {FILES_MAX}: remove some")
        # Of several that differ in the suffix's case the last one counts: in lower case.
        names = {file[: -len(_SUFFIX)]: file for file in files}
        self._twins = {
            f"{name}/{file}": escape(
                f"{self.directory / file}: not read beside {used}: remove one of them"
            )
            for file in files
            if (used := names[name := file[: -len(_SUFFIX)]]) != file
        }
        return {name: self.directory / file for name, file in names.items()}

    def _directory_line(self, error: OSError) -> str:
        permission = isinstance(error, PermissionError)
        why = denied(self.directory) if permission else error.strerror
        known = any(file.states is not None for file in self._files.values())
        left = "the last states stay in use" if known else _HEALTHY.format("all records")
        return escape(f"{self.directory}: cannot be read: {why}; {left}")

    def _read(self, path: Path, before: _File) -> _File:
        source = before.source
        if source is not None and source.settled and stat_of(path) == source.stat:
            return before
        reading = Reading(max_bytes=FILE_BYTES_MAX)
        try:
            states: States = read_status(path, reading)
        except (ConfigError, OSError) as error:
            lines = error.lines() if isinstance(error, ConfigError) else [f"{path}: {error}"]
            left = "its last states stay in use"
            if before.states is None:
                left = _HEALTHY.format("its records")
            # The same bytes are not read again.
            source = next(iter(reading.sources), None)
            return _File(before.states, source, f"{lines[0]}; {left}")
        return _File(states, reading.sources[0])


def read_status(path: Path, reading: Reading | None = None) -> dict[str, Status]:
    """The states of one file; raises ZoneError with everything that is wrong, each located."""
    try:
        file = (reading or Reading(max_bytes=FILE_BYTES_MAX)).open(path, zone=True)
    except OSError as error:
        raise ZoneError(path, f"cannot be read: {error.strerror}") from None
    with closing(file):
        text = text_of(path, file.data)
    document, report = JsonDocument(path, text), Report()
    if not isinstance(document.data, dict):
        report.wrong((), f"{described(document.data)}: write an object of keys and states")
        report.check(document)
    most = max(Status)
    states = {
        key: Status(number(report, (key,), value, 0, most, 0))
        for key, value in document.data.items()
    }
    report.check(document)
    return states
