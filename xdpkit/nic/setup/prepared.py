"""Prepares the interface for serving: changes it at start, follows it, and undoes it on exit."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from pyroute2 import AsyncIPRoute

from xdpkit.config import Config, ServedAddress
from xdpkit.errors import JournalError, NicError, SettingError, XdpkitError
from xdpkit.nic.os.address_watch import AddressWatch
from xdpkit.nic.os.ethtool_rxnfc import FlowMatch
from xdpkit.nic.os.interface import Interface, check_membership
from xdpkit.nic.os.login import login_over
from xdpkit.nic.setup import journal, journals, setting
from xdpkit.nic.setup.apply import Changes, Outcome, apply_step, apply_steps, report, restore, undo
from xdpkit.nic.setup.device import Device
from xdpkit.nic.setup.journal import Journal, Owner
from xdpkit.nic.setup.journal_lines import Entry
from xdpkit.nic.setup.plan import (
    Plan,
    Step,
    Wish,
    plan,
    rule_step,
    stale_rules,
    untagging_steps,
    wanted_rules,
)
from xdpkit.nic.setup.setting import Value
from xdpkit.runtime.closing import Closing
from xdpkit.runtime.state_files import STATE

log = logging.getLogger("xdpkit")


class PreparedNic(Closing):
    """An interface whose changes are journaled; ``close`` undoes them.

    ``steering`` and ``notes`` say what was obtained and done.
    """

    def __init__(self, config: Config, directory: Path = STATE) -> None:
        self._config = config
        self.device = Device(config.interface.name)
        self.steering = "none"
        self.notes: list[str] = []
        self._directory = directory
        path = journal.path_of(self.device.index, directory)
        self.journal = Journal(path, Owner.me(self.device.name, self.device.identity()))

    @property
    def changes(self) -> Changes:
        """For additional changes; ``close`` undoes those, too."""
        return Changes(self.device, self.journal)

    def prepare(self, served: list[ServedAddress], taken_over: bool = False) -> None:
        """Undoes what a crashed run left, then applies the plan for these addresses.

        Where the interface is ``taken_over`` from an instance that is still serving, only checks
        that there is a plan. Raises NicError, and then has changed nothing.
        """
        if taken_over:
            plan(self.device.facts(), Wish.of(self._config, served))
            return
        self.notes += _tidy_up(self.device, self._directory)
        self.steering = self._do(served)

    def take_over(self, served: list[ServedAddress]) -> None:
        """Takes over the changes of a predecessor that has stopped serving and handed them over.

        What cannot be changed stays as the predecessor had it, with a note.
        """
        try:
            self.journal.take_over()
            self.steering = _steering_of(self.journal.pending)
            made = plan(self.device.facts(), Wish.of(self._config, served))
            wanted = {step.setting: step.value for step in made.steps}
            obsolete = [entry for entry in self.journal.pending if _is_obsolete(entry, wanted)]
            self.notes += _problems(undo(self.device, self.journal, obsolete))
            self.steering = self._do(served)
        except NicError as error:
            self.notes.append(f"{error}; the rest is as the predecessor left it")

    def hand_over(self) -> None:
        """Gives up the changes without undoing them: a successor takes them over."""
        self.journal.hand_over()

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
        for entry in apply_steps(self.device, self.journal, made.steps):
            line = setting.line(self.device.name, entry.setting, entry.new, entry.old)
            self.notes.append(f"changed until exit: {line}")
        self.notes += made.notes

    def follow(self, served: list[ServedAddress]) -> list[str]:
        """Updates offloads and rules to these addresses; returns a line per thing that failed."""
        problems = self._leave_tags(served)
        if self.steering != "ntuple":
            return problems
        wanted = wanted_rules(Wish.of(self._config, served))
        ours = [
            entry
            for entry in self.journal.pending
            if setting.split(entry.setting)[0] == "rule" and entry.new is not None
        ]
        settings = {setting.rule(match) for match in wanted}
        gone = [entry for entry in ours if entry.setting not in settings]
        problems += _problems(undo(self.device, self.journal, gone))
        present = {entry.setting for entry in ours}
        new = {match: to for match, to in wanted.items() if setting.rule(match) not in present}
        try:
            for step in self._rule_steps(new):
                apply_step(self.device, self.journal, step)
        except XdpkitError as error:
            problems.append(f"{error}; requests without a rule take the slow path")
        return problems

    def _leave_tags(self, served: list[ServedAddress]) -> list[str]:
        """The first address with a VLAN tag may come with a reload."""
        if not any(address.outer for address in served):
            return []
        try:
            for step in untagging_steps(self.device.facts(), Wish.of(self._config, served)):
                apply_step(self.device, self.journal, step)
        except XdpkitError as error:
            return [f"{error}; requests with a VLAN tag are not recognized"]
        return []

    def _rule_steps(self, new: dict[FlowMatch, int]) -> list[Step]:
        if not new:
            return []
        why = "it steers our requests elsewhere"
        stale = stale_rules(self.device.facts(), new)
        return [
            *(Step(setting.rule(match), None, why) for match in stale),
            *(rule_step(match, queue) for match, queue in new.items()),
        ]

    def leave(self, ifindex: int) -> None:
        """The interface was moved to another namespace, and has this index there."""
        if self.journal.pending:
            self.journal.record_moved(ifindex)
            log.warning(
                "%s was moved to another network namespace with our changes: undo them there, by "
                "'xdpkit restore'",
                self.device.name,
            )

    def close(self) -> None:
        """Undoes all that is still as we left it; what cannot be undone stays in the journal."""
        try:
            if not self.journal.moved_to:
                report(self.device, undo(self.device, self.journal, list(self.journal.pending)))
        finally:
            self.journal.close()


def _tidy_up(device: Device, directory: Path) -> list[str]:
    """Undoes what a crashed run left; returns notes about it.

    Raises JournalError if some of it could not be undone.
    """
    if directory.exists() and not os.access(directory, os.R_OK | os.X_OK):
        return [f"{directory} belongs to another user, so changes that a run left are not visible"]
    notes = []
    for path in journals.of_device(device, named=False, directory=directory):
        outcomes, note = restore(device, path)
        failed = [outcome for outcome in outcomes if outcome.result == "failed"]
        if failed:
            raise JournalError(
                f"{device.name}: changes of the last run could not be undone: {failed[0]}; then "
                f"'xdpkit restore {device.name}'"
            )
        notes += [f"left by a crashed run, undone: {outcome}" for outcome in outcomes]
        notes += [note] if note else []
    return notes


def _steering_of(changes: Sequence[Entry]) -> str:
    """The steering of an instance with these changes."""
    kinds = {setting.split(entry.setting)[0] for entry in changes}
    return "ntuple" if "rule" in kinds else "rss" if setting.RSS in kinds else "none"


def _is_obsolete(entry: Entry, wanted: dict[str, Value]) -> bool:
    """Whether a predecessor's change is obsolete: not wanted, or a rule to another queue.

    Hardware timestamps stay with the XDP program, which is bound to them.
    """
    if entry.setting == setting.STAMPS:
        return False
    if entry.setting not in wanted:
        return True
    is_rule = setting.split(entry.setting)[0] == "rule" and entry.new is not None
    return is_rule and not setting.same(entry.new, wanted[entry.setting])


def _problems(outcomes: Sequence[Outcome]) -> list[str]:
    return [str(outcome) for outcome in outcomes if outcome.result != "undone"]


async def find_login(ipr: AsyncIPRoute, interface: Interface, watch: AddressWatch) -> str | None:
    """The peer of an SSH session over the interface. Raises NicError if it cannot be served."""
    await check_membership(ipr, interface, bool(watch.served()))
    return await login_over(ipr, interface, watch.reserved())


def refuse_login(config: Config, peer: str | None, yes: bool) -> None:
    """Raises NicError if all traffic is to move, including a login over the interface."""
    if config.interface.steering == "rss" and peer and not yes:
        raise NicError(
            f'steering = "rss" moves all traffic of {config.interface.name} to the chosen queues, '
            f"and an SSH session (from {peer}) comes over it: add --yes if you mean it"
        )
