"""``xdpkit plan`` and ``xdpkit restore``: their results, as facts and as text."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
from pyroute2 import AsyncIPRoute

from xdpkit.config import Config, ServedAddress
from xdpkit.control.lock import InstanceLock
from xdpkit.dataplane.dataplane import check_queues
from xdpkit.errors import ControlError, JournalError, NicError, XdpkitError
from xdpkit.nic.os import interface as nic
from xdpkit.nic.os import names
from xdpkit.nic.os.address_watch import AddressWatch
from xdpkit.nic.setup import journal, journals, setting
from xdpkit.nic.setup.apply import refuse_alive, restore
from xdpkit.nic.setup.device import Device
from xdpkit.nic.setup.journal import Journal
from xdpkit.nic.setup.plan import Step, Wish, plan
from xdpkit.nic.setup.prepared import find_login, refuse_login


def plan_facts(config: Config) -> dict[str, Any]:
    """What ``xdpkit run`` would change now. Raises NicError where it would refuse."""
    served, notes = anyio.run(_served_addresses, config)
    device = Device(config.interface.name)
    facts = device.facts()
    made = plan(facts, Wish.of(config, served))
    return {
        "interface": device.name,
        "driver": facts.driver,
        "steering": made.steering,
        "notes": [*made.notes, *notes, *_earlier(device)],
        "steps": _steps(device, made.steps),
    }


async def _served_addresses(config: Config) -> tuple[list[ServedAddress], list[str]]:
    """The addresses to serve, and a warning if somebody is logged in over the interface."""
    async with AsyncIPRoute() as ipr:
        interface = await nic.find(ipr, config.interface.name)
        check_queues(config.interface, interface)
        watch = AddressWatch(ipr, interface, config.interface.addresses)
        try:
            await watch.read()
            login = await find_login(ipr, interface, watch)
        finally:
            watch.close()
    try:
        refuse_login(config, login, yes=False)
    except NicError as error:
        return watch.served(), [str(error)]
    return watch.served(), []


def _earlier(device: Device) -> list[str]:
    """A note about a run that is live, or one that crashed."""
    path = journal.path_of(device.index)
    with suppress(JournalError):
        if earlier := journal.read(path):
            if earlier.in_use:
                return [f"xdpkit is running, pid {earlier.owner.pid}, and has applied its steps"]
            return [f"a crashed run left changes, which are undone first ({path})"]
    return []


def _steps(device: Device, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Each step with its commands, as if those before it had been applied."""
    current: dict[str, Any] = {}
    found = []
    for step in steps:
        name = step.setting
        old = current[name] if name in current else device.get(name)
        done = setting.same(old, step.value) or setting.same(old, _exact(device, step))
        current[name] = old if done else step.value
        found.append(
            {
                "setting": name,
                "value": step.value,
                "line": setting.line(device.name, name, step.value, None if done else old),
                "undo": None if done else setting.line(device.name, name, old, step.value),
                "why": step.why,
                "done": done,
            }
        )
    return found


def _exact(device: Device, step: Step) -> Any:
    """The step's exact value; a rule's location does not matter here, and none may be free."""
    is_rule = setting.split(step.setting)[0] == "rule"
    return step.value if is_rule else device.exact(step.setting, step.value)


def plan_lines(facts: Mapping[str, Any]) -> list[str]:
    """The plan as text that a shell can run."""
    steps = facts["steps"]
    to_do = [step for step in steps if not step["done"]]
    lines = [f"# {facts['interface']}: {note}" for note in facts["notes"]]
    for step in steps:
        if step["done"]:
            lines.append(f"# already set: {step['line']}")
        else:
            lines += [f"# {step['why']}", step["line"]]
    if not to_do:
        return [*lines, "# nothing to change"]
    lines.append("# undone on exit, or by xdpkit restore:")
    return [*lines, *(f"#   {step['undo']}" for step in reversed(to_do))]


def restore_facts(ifname: str | None) -> dict[str, Any]:
    """Undoes what crashed runs left on one or all interfaces; returns each change's outcome.

    Raises an ExceptionGroup of JournalErrors and ControlErrors, after the last interface.
    """
    errors: list[XdpkitError] = []
    facts: dict[str, Any] = {}
    for device, path in _named(ifname, facts) if ifname else _all(facts, errors):
        try:
            refuse_alive(device.name, path)
            # The lock between instances: none can start meanwhile.
            with closing(InstanceLock(device.name, device.index)) as lock:
                lock.acquire()
                outcomes, note = restore(device, path)
        except (JournalError, ControlError) as error:
            errors.append(error)
        else:
            found = facts.setdefault(device.name, {"said": "", "changes": []})
            found["said"] = found["said"] or note
            found["changes"] += [asdict(outcome) for outcome in outcomes]
    if errors:
        raise ExceptionGroup("restore", errors)
    return facts


def _named(ifname: str, facts: dict[str, Any]) -> list[tuple[Device, Path]]:
    """The journals of an interface, by any of its names."""
    device = Device(ifname)
    found = [(device, path) for path in journals.of_device(device, named=True)]
    for path, each in journals.left_behind() if not found else []:
        if isinstance(each, Journal) and each.owner.interface == ifname:
            # Another one may have its name by now.
            with suppress(OSError):
                names.name_of(each.owner.ifindex)
                continue
            facts[ifname] = _gone(path, each)
    return found


def _all(facts: dict[str, Any], errors: list[XdpkitError]) -> list[tuple[Device, Path]]:
    """All journals of this namespace's interfaces."""
    found: list[tuple[Device, Path]] = []
    for path, each in journals.left_behind():
        if isinstance(each, JournalError):
            errors.append(each)
            continue
        try:
            found.append((Device(names.name_of(each.owner.ifindex)), path))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            facts[each.owner.interface] = _gone(path, each)
    for index, path in journals.moved_here():
        with suppress(OSError):
            device = Device(names.name_of(index))
            if path in journals.of_device(device, named=False):
                found.append((device, path))
    return found


def _gone(path: Path, left: Journal) -> dict[str, Any]:
    """What to say about the journal of an interface that is not here any more."""
    if left.owner.boot != journal.boot_id():
        path.unlink(missing_ok=True)
        return {"said": "the journal is from before the last reboot: dropped it", "changes": []}
    which = f"the interface that was changed (index {left.owner.ifindex})"
    said = (
        f"{which} was moved to another network namespace: run 'xdpkit restore' there"
        if left.moved_to
        else f"{which} is not in this network namespace any more: if it was moved, run 'xdpkit "
        f"restore NAME' there; if it was deleted, remove {path}"
    )
    return {"said": said, "changes": []}


def restore_lines(facts: Mapping[str, Any]) -> list[str]:
    """A line for each change."""
    lines = []
    for name, found in facts.items():
        lines += [f"{name}: {found['said']}"] if found["said"] else []
        for change in found["changes"]:
            why = f" ({change['why']})" if change["why"] else ""
            lines.append(f"{name}: {change['result']}: {change['line']}{why}")
    return lines or ["nothing to undo"]


def has_failed(facts: Mapping[str, Any]) -> bool:
    """Whether a change could not be undone."""
    changes = [change for found in facts.values() for change in found["changes"]]
    return any(change["result"] == "failed" for change in changes)
