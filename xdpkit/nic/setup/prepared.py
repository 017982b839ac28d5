"""The interface as serving needs it: changed at the start, followed, and put back at the end."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from pyroute2 import AsyncIPRoute

from xdpkit.config import Config, ServedAddress
from xdpkit.errors import JournalError, NicError, SettingError, XdpkitError
from xdpkit.nic.os.address_watch import AddressWatch
from xdpkit.nic.os.ethtool_rxnfc import Match
from xdpkit.nic.os.interface import Interface, check_place
from xdpkit.nic.os.login import login_over
from xdpkit.nic.setup import journal, setting
from xdpkit.nic.setup.apply import Changes, Outcome, do, do_all, report, restore, undo
from xdpkit.nic.setup.device import Device
from xdpkit.nic.setup.journal import Entry, Journal, Owner
from xdpkit.nic.setup.plan import Plan, Step, Wish, plan, rule_step, stale_rules, wanted_rules
from xdpkit.nic.setup.setting import Value
from xdpkit.runtime.closing import Closing

log = logging.getLogger("xdpkit")


class PreparedNic(Closing):
    """An interface whose changes go with a journal; ``close`` undoes them.

    ``steering`` and ``notes`` say what was obtained and done.
    """

    def __init__(self, config: Config, directory: Path = journal.STATE) -> None:
        self._config = config
        self.device = Device(config.interface.name)
        self.steering = "none"
        self.notes: list[str] = []
        path = journal.path_of(self.device.name, directory)
        self.journal = Journal(path, Owner.me(self.device.name, self.device.identity()))

    @property
    def changes(self) -> Changes:
        """For what is changed besides; ``close`` undoes that too."""
        return Changes(self.device, self.journal)

    def prepare(self, served: list[ServedAddress], inherited: bool = False) -> None:
        """Undoes what a run that crashed has left, then does the plan for these addresses.

        Where the interface is ``inherited`` from an instance that still serves, it is only looked
        whether there is a plan. Raises NicError, and then has changed nothing.
        """
        if inherited:
            plan(self.device.facts(), Wish.of(self._config, served))
            return
        self.notes += _tidy_up(self.device, self.journal.path)
        self.steering = self._do(served)

    def take_over(self, served: list[ServedAddress]) -> None:
        """Goes on with the changes of a predecessor, which has left them: it serves no more.

        What cannot be changed stays as the predecessor had it, and is said.
        """
        try:
            self.journal.inherit()
            self.steering = _steering_of(self.journal.pending)
            made = plan(self.device.facts(), Wish.of(self._config, served))
            wanted = {step.setting: step.value for step in made.steps}
            over = [entry for entry in self.journal.pending if _is_over(entry, wanted)]
            self.notes += _problems(undo(self.device, self.journal, over))
            self.steering = self._do(served)
        except NicError as error:
            self.notes.append(f"{error}; the rest is as the predecessor had it")

    def leave(self) -> None:
        """Undoes nothing: a successor has taken over."""
        self.journal.leave()

    def _do(self, served: list[ServedAddress]) -> str:
        made = plan(self.device.facts(), Wish.of(self._config, served))
        try:
            self._do_plan(made)
        except SettingError as error:
            if self._config.interface.steering != "auto" or made.steering == "none":
                raise
            self.notes.append(f"no steering by {made.steering}: {error}")
            made = plan(self.device.facts(), Wish.of(self._config, served, "none"))
            self._do_plan(made)
        return made.steering

    def _do_plan(self, made: Plan) -> None:
        for entry in do_all(self.device, self.journal, made.steps):
            line = setting.line(self.device.name, entry.setting, entry.new, entry.old)
            self.notes.append(f"done, until the end: {line}")
        self.notes += made.notes

    def follow(self, served: list[ServedAddress]) -> list[str]:
        """Has rules for these addresses and no others; returns what could not be done, by line."""
        if self.steering != "ntuple":
            return []
        wanted = wanted_rules(Wish.of(self._config, served))
        ours = [
            entry
            for entry in self.journal.pending
            if setting.split(entry.setting)[0] == "rule" and entry.new is not None
        ]
        settings = {setting.rule(match) for match in wanted}
        gone = [entry for entry in ours if entry.setting not in settings]
        problems = _problems(undo(self.device, self.journal, gone))
        there = {entry.setting for entry in ours}
        new = {match: to for match, to in wanted.items() if setting.rule(match) not in there}
        try:
            for step in self._rule_steps(new):
                do(self.device, self.journal, step)
        except XdpkitError as error:
            problems.append(f"{error}; what no rule steers is not bypassed")
        return problems

    def _rule_steps(self, new: dict[Match, int]) -> list[Step]:
        if not new:
            return []
        why = "it takes our requests elsewhere"
        stale = stale_rules(self.device.facts(), new)
        return [
            *(Step(setting.rule(match), None, why) for match in stale),
            *(rule_step(match, queue) for match, queue in new.items()),
        ]

    def close(self) -> None:
        """Puts back all that is still as we left it; what could not be stays in the journal."""
        try:
            report(self.device, undo(self.device, self.journal, list(self.journal.pending)))
        finally:
            self.journal.close()


def _tidy_up(device: Device, path: Path) -> list[str]:
    """Undoes what a run that crashed has left; returns what there is to say.

    Raises JournalError where some of it is still there.
    """
    if path.parent.exists() and not os.access(path.parent, os.R_OK | os.X_OK):
        return [f"{path.parent} is another user's: what a run of theirs may have left is not seen"]
    outcomes, said = restore(device, path)
    failed = [outcome for outcome in outcomes if outcome.result == "failed"]
    if failed:
        raise JournalError(
            f"{device.name}: what the last run changed could not be undone: {failed[0]}; then "
            f"'xdpkit restore {device.name}'"
        )
    notes = [f"left by a run that crashed, undone: {outcome}" for outcome in outcomes]
    return [*notes, *([said] if said else [])]


def _steering_of(changes: Sequence[Entry]) -> str:
    """The steering that an instance with these changes has."""
    kinds = {setting.split(entry.setting)[0] for entry in changes}
    return "ntuple" if "rule" in kinds else "rss" if setting.RSS in kinds else "none"


def _is_over(entry: Entry, wanted: dict[str, Value]) -> bool:
    """Whether a change of the predecessor's is none of ours: not wanted, or a rule to elsewhere.

    The hardware's stamps go with the program, which is bound to them.
    """
    if entry.setting == setting.STAMPS:
        return False
    if entry.setting not in wanted:
        return True
    is_rule = setting.split(entry.setting)[0] == "rule" and entry.new is not None
    return is_rule and not setting.same(entry.new, wanted[entry.setting])


def _problems(outcomes: Sequence[Outcome]) -> list[str]:
    return [str(outcome) for outcome in outcomes if outcome.result != "undone"]


async def look(ipr: AsyncIPRoute, interface: Interface, watch: AddressWatch) -> str | None:
    """The peer of an ssh session over the interface. Raises NicError where none can serve it."""
    await check_place(ipr, interface, bool(watch.served()))
    return await login_over(ipr, interface, watch.reserved())


def refuse_login(config: Config, peer: str | None, yes: bool) -> None:
    """Raises NicError where all traffic is to move, a login over the interface among it."""
    if config.interface.steering == "rss" and peer and not yes:
        raise NicError(
            f'steering = "rss" moves all traffic of {config.interface.name} to the chosen queues, '
            f"and an ssh session (with {peer}) comes over it: add --yes if that is meant"
        )
