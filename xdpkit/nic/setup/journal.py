"""The journal: changes to an interface, written before they are made, so they can be undone.

One file per interface, ``/run/xdpkit/INDEX@NUMBER.journal`` (NUMBER is the network namespace's),
readable by root only, so that it is found whatever the interface is called by then. Its lines are
JSON, each synced before its step is applied. The first says whose changes these are, the others
what they are:

    {"version": 1, "interface": "eth1", "ifindex": 3, "address": "02:...", "boot": "...",
     "pid": 4711, "started": 123456}
    {"step": 0, "setting": "feature rx-lro", "old": true, "new": false}
    {"done": 0, "got": false}
    {"undone": 0}
    {"moved": 3}

The last line is "moved" where the interface went to another network namespace: its index there. A
truncated one belongs to a step that was never begun. The file is removed once everything is undone.
Reading it believes nothing: the file is opened as ``state_files.py`` does, every line has a schema
(``journal_lines.py``), and one that does not fit means that nothing is undone.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from xdpkit.errors import JournalError, StateError
from xdpkit.nic.setup import journal_lines, schema
from xdpkit.nic.setup.journal_lines import VERSION, Entry
from xdpkit.nic.setup.setting import Value
from xdpkit.runtime.netns import namespace
from xdpkit.runtime.reasons import failed
from xdpkit.runtime.state_files import (
    STATE,
    make_state_directory,
    open_state_file,
    read_state_file,
)

SUFFIX = ".journal"

# The reader's limit. A rule for each of 4,000 addresses, three ports and four parts of the sources
# takes half of it.
MOST_BYTES = 32 << 20

_MOST_JOURNALS = 1024

# Addresses that come and go for months make a journal grow: from here on it is written anew if most
# of it has been undone.
_LONG_BYTES = 1 << 20


@dataclass(frozen=True)
class Owner:
    """The interface being changed, and the process that changes it."""

    interface: str
    ifindex: int
    address: str
    boot: str
    pid: int
    started: int

    @classmethod
    def me(cls, interface: str, identity: dict[str, Value]) -> Self:
        """This process, for an interface with this ``Device.identity``."""
        pid = os.getpid()
        return cls(interface, **identity, boot=boot_id(), pid=pid, started=start_time(pid) or 0)

    @property
    def alive(self) -> bool:
        """Whether the process is still running: its PID may have been reused."""
        return self.boot == boot_id() and start_time(self.pid) == self.started


@dataclass
class Journal:
    """The changes not yet undone are ``pending``; the file is created with the first of them.

    ``writers`` are the users who may have written what was read.
    """

    path: Path
    owner: Owner
    pending: list[Entry] = field(default_factory=list)
    writers: frozenset[int] = frozenset({0})
    moved_to: int = 0
    _next: int = 0
    _fd: int = -1
    _is_there: bool = False

    @property
    def in_use(self) -> bool:
        """Whether the process that made the changes is running: one of a user who may have written
        the file, as what it says may be meant to keep the changes from being undone."""
        return self.owner.alive and user_of(self.owner.pid) in self.writers

    def is_doubtful(self, entry: Entry) -> bool:
        """Whether only root can have made the change, and somebody else may have written it down.

        Then root must not undo it: it would do for that user what that user cannot do.
        """
        return schema.needs_root(entry.setting) and not self.writers <= {0, os.geteuid()}

    def note(self, setting: str, old: Value, new: Value) -> Entry:
        """Writes down a change that is about to be made. Raises JournalError."""
        entry = Entry(self._next, setting, old, new)
        line = {"step": entry.step, "setting": setting, "old": old, "new": new}
        try:
            self._append(line)
        except (OSError, StateError) as error:
            what = (
                f"{self.owner.interface}: nothing was changed, as the journal {self.path} cannot "
                "be written"
            )
            raise JournalError(failed(what, error)) from error
        self._next += 1
        self.pending.append(entry)
        is_mostly_undone = self._next > 4 * len(self.pending)
        if is_mostly_undone and os.fstat(self._fd).st_size > _LONG_BYTES:
            with suppress(OSError, StateError):
                self._rewrite()
        return entry

    def record_done(self, entry: Entry, got: Value) -> None:
        """Writes down the result; a journal without it is good enough."""
        entry.got, entry.done = got, True
        with suppress(OSError, StateError):
            self._append({"done": entry.step, "got": got})

    def record_undone(self, entry: Entry) -> None:
        """Removes a change from the pending ones."""
        self.pending.remove(entry)
        with suppress(OSError, StateError):
            self._append({"undone": entry.step})

    def record_moved(self, ifindex: int) -> None:
        """Keeps what is pending for ``restore`` in the namespace where the interface is now."""
        self.moved_to = ifindex
        with suppress(OSError, StateError):
            self._append({"moved": ifindex})

    def close(self) -> None:
        """Removes the file unless there is still something to undo."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._is_there and not self.pending:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

    def hand_over(self) -> None:
        """Gives up the file: a successor owns it now, by ``take_over``."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._is_there, self.pending = -1, False, []

    def take_over(self) -> None:
        """Takes over the changes that another process has made and will not undo.

        Raises JournalError; then they still belong to that process.
        """
        found = read(self.path)
        if found is None:
            return
        self.pending = [entry for entry in found.pending if not found.is_doubtful(entry)]
        if not self.pending:
            self.path.unlink(missing_ok=True)
            return
        try:
            self._rewrite()
        except (OSError, StateError) as error:
            self.pending = []
            reason = error.strerror if isinstance(error, OSError) else error
            raise JournalError(f"{self.path}: {reason}") from error

    def _rewrite(self) -> None:
        """Replaces the file by one of what is pending, under our name."""
        new = self.path.with_suffix(".new")
        new.unlink(missing_ok=True)
        copy = Journal(new, self.owner)
        try:
            for step, old in enumerate(self.pending):
                copy._append({"step": step, "setting": old.setting, "old": old.old, "new": old.new})
                if old.done:
                    copy._append({"done": step, "got": old.got})
            new.rename(self.path)
        except (OSError, StateError):
            copy.hand_over()
            raise
        for step, entry in enumerate(self.pending):
            entry.step = step
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._next, self._is_there = copy._fd, len(self.pending), True

    def _append(self, line: dict[str, Any]) -> None:
        if self._fd < 0:
            self._open()
        elif os.fstat(self._fd).st_size == 0:
            # There was no room for the head before.
            _write(self._fd, self._head())
        _write(self._fd, line)

    def _head(self) -> dict[str, Any]:
        return {"version": VERSION, **vars(self.owner)}

    def _open(self) -> None:
        """Creates the file with its first line, or appends to an existing one."""
        make_state_directory(self.path.parent)
        new = not os.path.lexists(self.path)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        self._fd = open_state_file(self.path, flags, MOST_BYTES).fd
        self._is_there = True
        if new:
            _write(self._fd, self._head())
            directory = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        else:
            # The next line must not be joined to a truncated one.
            whole = os.pread(self._fd, MOST_BYTES, 0)
            os.ftruncate(self._fd, whole.rfind(b"\n") + 1)


def read(path: Path) -> Journal | None:
    """The journal of an earlier run; None when there is none, or no change in it was begun.

    Raises JournalError for a file that is not a journal, or that must not be believed.
    """
    try:
        raw, writers = read_state_file(path, MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(failed("the journal", error)) from error
    except StateError as error:
        raise JournalError(str(error)) from error
    *whole, _ = raw.split(b"\n")
    if not whole:
        return None
    try:
        found = journal_lines.parse(whole)
    except journal_lines.LineError as error:
        raise JournalError(
            f"{path}:{error.line}: not a line of a journal of this version ({error}), so nothing "
            f"was undone: remove the file if nothing needs undoing"
        ) from error
    owner = Owner(**found.head)
    journal = Journal(path, owner, found.entries, writers, found.moved_to, _is_there=True)
    journal._next = found.following
    return journal


def _write(fd: int, line: dict[str, Any]) -> None:
    """Writes the whole line or, when there is no room for it, nothing."""
    text = json.dumps(line).encode() + b"\n"
    before = os.fstat(fd).st_size
    try:
        if os.write(fd, text) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(fd)
    except OSError:
        os.ftruncate(fd, before)
        raise


def path_of(ifindex: int, directory: Path | None = None) -> Path:
    """The path of the journal for an interface of this network namespace."""
    return (directory or STATE) / f"{ifindex}@{namespace()}{SUFFIX}"


def paths(directory: Path | None = None) -> tuple[list[Path], list[Path]]:
    """The journals of this network namespace, and those of others. Raises JournalError."""
    directory = directory or STATE
    ours = f"@{namespace()}{SUFFIX}"
    try:
        found = sorted(directory.glob(f"*@*{SUFFIX}"))
    except OSError as error:
        raise JournalError(failed("the journals", error)) from error
    if len(found) > _MOST_JOURNALS:
        raise JournalError(
            f"{directory}: {len(found):,} journals, more than the {_MOST_JOURNALS:,} that are "
            "read: remove those of interfaces that are gone"
        )
    here = [path for path in found if path.name.endswith(ours)]
    return here, [path for path in found if path not in here]


def is_elsewhere(path: Path) -> bool:
    """Whether it is a journal of another network namespace."""
    _, at, number = path.name.removesuffix(SUFFIX).rpartition("@")
    return bool(at) and number != str(namespace())


def boot_id() -> str:
    """The boot ID, which changes with every boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    # proc(5): the name in parentheses may contain anything; the state follows it, starttime is
    # field 22.
    state, *fields = text[text.rindex(")") + 2 :].split()
    return None if state in "ZX" else int(fields[18])


def user_of(pid: int) -> int | None:
    """The effective user of a process; None if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    # proc_pid_status(5): real, effective, saved and filesystem UID.
    return next((int(line.split()[2]) for line in lines if line.startswith("Uid:")), None)
