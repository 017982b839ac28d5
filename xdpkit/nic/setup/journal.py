"""The journal: what was changed on an interface, noted before it was, so that it can be undone.

One file for each interface, ``/run/xdpkit/IFACE@NUMBER.journal`` (of the network namespace), for
root alone; lines of JSON, each on the disk before its step is done. The first says whose changes
these are, the others what they are:

    {"version": 1, "interface": "eth1", "ifindex": 3, "address": "02:...", "boot": "...",
     "pid": 4711, "started": 123456}
    {"step": 0, "setting": "feature rx-lro", "old": true, "new": false}
    {"done": 0, "got": false}
    {"undone": 0}

A last line that was cut off belongs to a step that was not begun. The file goes when all is undone.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from xdpkit.errors import JournalError
from xdpkit.nic.setup.setting import Value

STATE = Path("/run/xdpkit")
SUFFIX = ".journal"
_VERSION = 1

# asm-generic/socket.h, Linux 5.14: a number of the network namespace that is never used again.
SO_NETNS_COOKIE = 71


@dataclass
class Entry:
    """One change; ``got`` is what the driver made of ``new``, once that is known."""

    step: int
    setting: str
    old: Value
    new: Value
    got: Value = None
    done: bool = False


@dataclass(frozen=True)
class Owner:
    """The interface that is changed, and the process that changes it."""

    interface: str
    ifindex: int
    address: str
    boot: str
    pid: int
    started: int

    @classmethod
    def me(cls, interface: str, identity: dict[str, Value]) -> Self:
        """This process, for an interface with ``Device.identity``."""
        pid = os.getpid()
        return cls(interface, **identity, boot=boot_id(), pid=pid, started=start_time(pid) or 0)

    @property
    def alive(self) -> bool:
        """Whether the process still runs: its number may be another's by now."""
        return self.boot == boot_id() and start_time(self.pid) == self.started


@dataclass
class Journal:
    """The changes that are not undone, ``pending``; the file is made with the first of them."""

    path: Path
    owner: Owner
    pending: list[Entry] = field(default_factory=list)
    _next: int = 0
    _fd: int = -1
    _is_there: bool = False

    def note(self, setting: str, old: Value, new: Value) -> Entry:
        """Writes down a change that is about to be made. Raises JournalError."""
        entry = Entry(self._next, setting, old, new)
        line = {"step": entry.step, "setting": setting, "old": old, "new": new}
        try:
            self._append(line)
        except OSError as error:
            raise JournalError(
                f"{self.owner.interface}: nothing was changed, as the journal {self.path} cannot "
                f"be written ({error.strerror}): run as root, or mend that"
            ) from error
        self._next += 1
        self.pending.append(entry)
        return entry

    def done(self, entry: Entry, got: Value) -> None:
        """Writes down what became of it; a journal without that is good enough."""
        entry.got, entry.done = got, True
        with suppress(OSError):
            self._append({"done": entry.step, "got": got})

    def undone(self, entry: Entry) -> None:
        """Takes a change off the list."""
        self.pending.remove(entry)
        with suppress(OSError):
            self._append({"undone": entry.step})

    def close(self) -> None:
        """Removes the file, unless there is still something to undo."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._is_there and not self.pending:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Lets go of the file: a successor has taken it over, by ``inherit``."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._is_there, self.pending = -1, False, []

    def inherit(self) -> None:
        """Takes over the changes that another process has made, and is to leave undone.

        Raises JournalError; then they are still that one's.
        """
        there = read(self.path)
        if there is None:
            return
        if not there.pending:
            self.path.unlink(missing_ok=True)
            return
        new = self.path.with_suffix(".new")
        copy = Journal(new, self.owner)
        try:
            new.unlink(missing_ok=True)
            for old in there.pending:
                entry = copy.note(old.setting, old.old, old.new)
                if old.done:
                    copy.done(entry, old.got)
            new.rename(self.path)
        except OSError as error:
            raise JournalError(f"{self.path}: {error.strerror}") from error
        self.pending, self._next, self._fd = copy.pending, copy._next, copy._fd
        self._is_there = True

    def _append(self, line: dict[str, Any]) -> None:
        if self._fd < 0:
            self._open()
        elif os.fstat(self._fd).st_size == 0:
            # There was no room for it.
            _write(self._fd, self._head())
        _write(self._fd, line)

    def _head(self) -> dict[str, Any]:
        return {"version": _VERSION, **vars(self.owner)}

    def _open(self) -> None:
        """Makes the file, with its first line, or goes on with what is there."""
        new = not self.path.exists()
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self.path, flags, 0o600)
        self._is_there = True
        if new:
            _write(self._fd, self._head())
            directory = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        else:
            # What is written next must not join a line that was cut off.
            os.ftruncate(self._fd, self.path.read_bytes().rfind(b"\n") + 1)


def read(path: Path) -> Journal | None:
    """The journal of an earlier run; None when there is none, or nothing in it was begun.

    Raises JournalError for a file that is no journal.
    """
    try:
        *whole, _ = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}: run as root") from error
    if not whole:
        return None
    try:
        head, *lines = (json.loads(line) for line in whole)
        if head.pop("version") != _VERSION:
            raise ValueError("another version's")
        entries = _entries(lines)
        journal = Journal(path, Owner(**head), entries, _is_there=True)
        journal._next = max((line.get("step", -1) for line in lines), default=-1) + 1
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise JournalError(
            f"{path} is no journal of this version ({error}): if nothing is to be undone, remove it"
        ) from error
    return journal


def _entries(lines: list[dict[str, Any]]) -> list[Entry]:
    entries: dict[int, Entry] = {}
    for line in lines:
        if "undone" in line:
            del entries[line["undone"]]
        elif "done" in line:
            entries[line["done"]].got, entries[line["done"]].done = line["got"], True
        else:
            entries[line["step"]] = Entry(**line)
    return list(entries.values())


def _write(fd: int, line: dict[str, Any]) -> None:
    """The whole line or, when there is no room for it, nothing."""
    text = json.dumps(line).encode() + b"\n"
    before = os.fstat(fd).st_size
    try:
        if os.write(fd, text) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(fd)
    except OSError:
        os.ftruncate(fd, before)
        raise


def path_of(ifname: str, directory: Path = STATE) -> Path:
    """The journal's file for an interface of this network namespace."""
    return directory / f"{ifname}@{_namespace()}{SUFFIX}"


def interfaces(directory: Path = STATE) -> list[str]:
    """Names of the interfaces of this network namespace that have a journal."""
    ending = f"@{_namespace()}{SUFFIX}"
    try:
        names = [path.name.removesuffix(ending) for path in directory.glob(f"*{ending}")]
    except OSError as error:
        raise JournalError(f"{directory}: {error.strerror}: run as root") from error
    return sorted(names)


def _namespace() -> int:
    """Interfaces of other network namespaces have the same names, and the same /run."""
    here = Path("/proc/thread-self/ns/net").stat().st_ino
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        raw = any_socket.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
        [here] = struct.unpack("=Q", raw)
    return here


def boot_id() -> str:
    """Another one after each start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """When a process began, in clock ticks since boot; None when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # proc(5): the name in brackets may hold anything; state is behind it, starttime field 22.
    state, *fields = text[text.rindex(")") + 2 :].split()
    return None if state in "ZX" else int(fields[18])
