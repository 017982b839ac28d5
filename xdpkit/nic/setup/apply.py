"""Applies steps and undoes them, through the journal.

apply    read, write the old and new value to the journal, set, write the result to the journal
undo     from last to first, and only what is still as we left it
restore  the same after a crash, from the journal of the process that died; files that are root's
         (interrupts, /sys) only if nobody but root can have written that journal
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from xdpkit.errors import JournalError, SettingError
from xdpkit.nic.setup import journal as journals
from xdpkit.nic.setup import setting
from xdpkit.nic.setup.journal import Journal
from xdpkit.nic.setup.journal_lines import Entry
from xdpkit.nic.setup.plan import Step
from xdpkit.nic.setup.setting import Value

log = logging.getLogger("xdpkit")

# What no longer exists needs no undoing.
_GONE = {errno.ENODEV: "the interface", errno.ENXIO: "the queue's interrupt"}


class Settings(Protocol):
    """What is needed of an interface; implemented by ``device.Device``."""

    @property
    def name(self) -> str: ...
    def identity(self) -> dict[str, Value]: ...
    def get(self, name: str, /) -> Value: ...
    def set(self, name: str, value: Value, /) -> None: ...
    def exact(self, name: str, value: Value, /) -> Value: ...


@dataclass(frozen=True)
class Outcome:
    """The result of undoing one change: "undone", "left" as it is, or "failed"; and why."""

    setting: str
    line: str
    result: str
    why: str = ""

    def __str__(self) -> str:
        if self.result == "undone":
            return self.line
        if self.result == "left":
            return f"{self.setting} left as it is: {self.why}"
        return f"{self.setting} was not undone ({self.why}): undo it with '{self.line}'"


@dataclass(frozen=True)
class Changes:
    """The changes to an interface that are recorded in one journal."""

    device: Settings
    journal: Journal

    def apply(self, step: Step) -> bool:
        """Calls ``apply_step`` for this interface."""
        return apply_step(self.device, self.journal, step)

    def undo(self, name: str) -> None:
        """Undoes all changes to one setting, and logs what could not be undone."""
        entries = [entry for entry in self.journal.pending if entry.setting == name]
        report(self.device, undo(self.device, self.journal, entries))


def apply_step(device: Settings, journal: Journal, step: Step) -> bool:
    """Applies one step unless the setting already has the value; returns whether it did.

    Raises SettingError and JournalError; then whatever was done of the step is undone.
    """
    old = device.get(step.setting)
    if setting.same(old, step.value):
        return False
    new = device.exact(step.setting, step.value)
    if setting.same(old, new):
        return False
    entry = journal.note(step.setting, old, new)
    try:
        device.set(step.setting, new)
        journal.record_done(entry, device.get(step.setting))
    except SettingError as error:
        outcome = _undo(device, journal, entry, ours=True)
        if outcome.result == "failed":
            log.warning("%s: %s", device.name, outcome)
        raise error
    return True


def apply_steps(device: Settings, journal: Journal, steps: Iterable[Step]) -> list[Entry]:
    """Applies all steps or none: after an error the interface is as it was before the first."""
    first = len(journal.pending)
    try:
        for step in steps:
            apply_step(device, journal, step)
    except BaseException:
        report(device, undo(device, journal, journal.pending[first:]))
        raise
    return journal.pending[first:]


def undo(device: Settings, journal: Journal, entries: list[Entry]) -> list[Outcome]:
    """Undoes changes, last first; those that fail stay in the journal.

    So do earlier changes to the same setting: they cannot be undone before the later one.
    """
    outcomes: list[Outcome] = []
    failed: set[str] = set()
    for entry in reversed(entries):
        if entry.setting not in failed:
            outcomes.append(_undo(device, journal, entry))
            if outcomes[-1].result == "failed":
                failed.add(entry.setting)
    return outcomes


def _undo(device: Settings, journal: Journal, entry: Entry, ours: bool = False) -> Outcome:
    """``ours``: whatever the value is now, it can only be our doing."""
    line = setting.line(device.name, entry.setting, entry.old, entry.got or entry.new)
    outcome = Outcome(entry.setting, line, "undone")
    if journal.is_doubtful(entry):
        why = "only root can have changed it, and somebody else may have written the journal"
        journal.record_undone(entry)
        return Outcome(entry.setting, line, "left", why)
    try:
        now = device.get(entry.setting)
        if setting.same(now, entry.old):
            pass
        elif ours or setting.same(now, entry.new) or (entry.done and setting.same(now, entry.got)):
            device.set(entry.setting, entry.old)
        else:
            since = setting.line(device.name, entry.setting, now, entry.old)
            outcome = Outcome(entry.setting, line, "left", f"somebody has since run '{since}'")
    except SettingError as error:
        if error.errno not in _GONE:
            return Outcome(entry.setting, line, "failed", str(error))
        why = f"{_GONE[error.errno]} is gone, and the setting with it"
        outcome = Outcome(entry.setting, line, "left", why)
    journal.record_undone(entry)
    return outcome


def report(device: Settings, outcomes: Iterable[Outcome]) -> None:
    """Logs what was not undone."""
    for outcome in outcomes:
        if outcome.result != "undone":
            log.warning("%s: %s", device.name, outcome)


def restore(device: Settings, path: Path) -> tuple[list[Outcome], str]:
    """Undoes what a dead run left behind; also returns a line about anything else of note.

    Raises JournalError if the journal belongs to a live process or another interface; then nothing
    is changed.
    """
    journal = journals.read(path)
    if journal is None:
        path.unlink(missing_ok=True)
        return [], ""
    _refuse_alive(device.name, journal)
    owner = journal.owner
    if owner.boot != journals.boot_id():
        path.unlink(missing_ok=True)
        return [], "the journal is from before the last reboot, which undid everything: dropped it"
    now = _identity(device)
    is_same = now.get("ifindex") == owner.ifindex or journals.is_elsewhere(path)
    if not is_same or now.get("address") != owner.address:
        raise JournalError(
            f"{device.name} is not the interface that was changed (index {owner.ifindex}, "
            f"address {owner.address}): give that one its address back and restore again or, if "
            f"it is gone, remove {path}"
        )
    outcomes = undo(device, journal, list(journal.pending))
    journal.close()
    return outcomes, ""


def refuse_alive(name: str, path: Path) -> None:
    """Raises JournalError if the process that made the changes is still running."""
    if journal := journals.read(path):
        _refuse_alive(name, journal)


def _refuse_alive(name: str, journal: Journal) -> None:
    if journal.in_use:
        pid = journal.owner.pid
        raise JournalError(f"{name}: xdpkit is running, pid {pid}: stop it first")


def _identity(device: Settings) -> dict[str, Value]:
    """Empty when there is no interface of that name."""
    try:
        return device.identity()
    except SettingError as error:
        if error.errno == errno.ENODEV:
            return {}
        raise
