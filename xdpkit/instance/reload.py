"""``xdpkit reload`` and SIGHUP: the difference of two configurations, applied whole or not at all.

The file is read once. A setting that needs a restart ends the reload. Every part then prepares its
share without using it. If all could, one snapshot takes all of it into use; if not, nothing has
changed, and every error is listed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from xdpkit.config import Config, load
from xdpkit.config.difference import Difference, difference
from xdpkit.errors import BusyError, PartialReloadError, ReloadError, RestartError, XdpkitError
from xdpkit.nic.os import names
from xdpkit.runtime.faults import describe, faults
from xdpkit.runtime.health import Reason
from xdpkit.runtime.inbox import Inbox
from xdpkit.runtime.moment import moment
from xdpkit.runtime.notify import notify, notify_reloading
from xdpkit.runtime.off_loop import off_loop
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.services.base import Prepared

log = logging.getLogger("xdpkit")

# Zones that a line names.
NAMED = 3

# Errors of the last reload that status has; the log, or who asked for it, has all.
_TOLD = 20

# Requests that may wait for the current reload: they come from root's shell and from signals.
INBOX = 4


@dataclass(frozen=True)
class Outcome:
    """How a reload ended: ``errors`` are those for which it was refused, none if it was not."""

    at: float
    errors: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """``reload`` in ``xdpkit status --json``."""
        return {
            "at": moment(self.at),
            "outcome": "failed" if self.errors else "reloaded",
            "errors": list(self.errors[:_TOLD]),
            "changed": list(self.changed),
        }

    def problems(self) -> list[Reason]:
        """Why the instance is not healthy."""
        if not self.errors:
            return []
        more = f" (and {len(self.errors) - 1} more errors)" if len(self.errors) > 1 else ""
        text = f"the reload at {moment(self.at)} failed: {self.errors[0]}{more}"
        return [Reason("reload_failed", text)]


class Part(Protocol):
    """A part of the instance that a reload can change."""

    async def prepare(self, config: Config) -> Prepared: ...


class Reloader:
    """Owns the configuration in force, and performs reloads one after the other."""

    def __init__(
        self,
        config: Config,
        publisher: SnapshotPublisher,
        parts: Sequence[Part],
        paused: Callable[[], bool] = lambda: False,
        ifindex: int = 0,
    ) -> None:
        self._started = self._config = config
        self._ifindex = ifindex
        self._publisher = publisher
        self._parts = parts
        self._paused = paused
        self.inbox = Inbox[None, dict[str, Any]]("reload", INBOX)
        self.last: Outcome | None = None
        """The last reload's outcome, if there was one."""

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    async def run(self) -> None:
        """Reloads whenever asked to, until canceled."""
        await self.inbox.run(self._notify_and_reload)

    async def reload(self) -> dict[str, Any]:
        """Asks for a reload; returns its facts once every thread uses what was loaded.

        Raises XdpkitError with every reason, and has then changed nothing.
        """
        if self._paused():
            raise BusyError("a successor is taking over: try again")
        return await self.inbox.ask(None)

    async def reload_and_log(self) -> None:
        """The same for SIGHUP; the result goes to the log."""
        try:
            facts = await self.reload()
        except BusyError as error:
            log.warning("SIGHUP: %s", error)
        except PartialReloadError as error:
            log.error("%s", error)
        except XdpkitError as error:
            for line in error.lines():
                log.error("%s; the old stays in use", line)
        except (OSError, ValueError, MemoryError) as error:
            log.error("reload: %s; the old stays in use", describe(error))
        else:
            log.info("reloaded: %s", ", ".join(summary(facts)))

    async def _notify_and_reload(self, _: None) -> dict[str, Any]:
        notify_reloading()
        at = time.time()
        try:
            facts = await self._reload()
        except Exception as error:
            lines = error.lines() if isinstance(error, XdpkitError) else [describe(error)]
            self.last = Outcome(at, tuple(lines))
            raise
        else:
            self.last = Outcome(at, changed=tuple(facts["changed"]))
            return facts
        finally:
            notify("READY=1")

    async def _reload(self) -> dict[str, Any]:
        prepared, found, faulty = await self._take()
        await self._publisher.settle()
        if faulty:
            raise PartialReloadError(
                f"{self._config.path}: in use, except for what a fault of xdpkit itself left as it "
                f"was ({'; '.join(faulty)}): restart xdpkit"
            )
        for each in prepared:
            await each.settled()
        facts = {key: fact for each in prepared for key, fact in each.facts.items()}
        return facts | {"changed": list(found.changed)}

    async def _take(self) -> tuple[list[Prepared], Difference, list[str]]:
        """Takes the configuration of now into use; raises, and has then changed nothing.

        Returns the shares, what has changed, and what went wrong although it is in use.
        """
        path = self._config.path
        what = "the file, or one that it names,"
        fresh = self._as_started(await off_loop(path, partial(load, path), what=what))
        found = difference(self._started, self._config, fresh)
        if found.needs_restart:
            raise RestartError(
                f"{fresh.path}: needs a restart: {', '.join(found.needs_restart)}; nothing of it "
                "is applied"
            )
        with ExitStack() as undo:
            prepared = await self._prepare(fresh, undo)
            parts = {key: part for each in prepared for key, part in each.parts.items()}
            self._publisher.change(**parts)
            # From here on nothing fails, and nothing else runs until all of it is in use.
            undo.pop_all()
        faulty = [what for each in prepared if (what := _commit(each))]
        self._config = fresh
        return prepared, found, faulty

    def _as_started(self, fresh: Config) -> Config:
        """With the name from the start, where the file has another one of the same interface."""
        before, now = self._started.interface.name, fresh.interface.name
        with suppress(OSError):
            if now != before and names.index_of(now) == self._ifindex:
                return replace(fresh, interface=replace(fresh.interface, name=before))
        return fresh

    async def _prepare(self, fresh: Config, undo: ExitStack) -> list[Prepared]:
        """Every part's share; ``undo`` gives them up. Raises ReloadError with all errors."""
        prepared: list[Prepared] = []
        errors: list[XdpkitError] = []
        for part in self._parts:
            try:
                prepared.append(await part.prepare(fresh))
                undo.callback(prepared[-1].discard)
            except XdpkitError as error:
                errors.append(error)
        if errors:
            raise ReloadError([*errors, *(error for each in prepared for error in each.wrong)])
        return prepared


def _commit(prepared: Prepared) -> str:
    """Takes a share into use; returns what went wrong, or "". The other shares are in use too."""
    try:
        prepared.commit()
    except Exception as error:
        return faults.record("reload", error)
    return ""


def _some(names: list[str]) -> str:
    """The first few of them."""
    return ", ".join(names[:NAMED]) + f" and {len(names) - NAMED} more" * (len(names) > NAMED)


def summary(facts: dict[str, Any]) -> list[str]:
    """What was reloaded, in words."""
    counted = {}
    if "zones" in facts:
        same = "" if facts["zones_changed"] else " unchanged"
        counted = {f"zones{same}": len(facts["zones"])}
    counted |= {
        name: facts[name]
        for name in ("keys", "allow", "deny", "dns_allow", "dns_deny", "exempt")
        if facts.get(name)
    }
    words = [f"{count} {name}" for name, count in counted.items()]
    if failing := facts.get("zones_failed"):
        words.append(f"{len(failing)} of them not up to date: {_some(list(failing))}")
    if facts.get("changed"):
        words.append(f"changed {', '.join(facts['changed'])}")
    return words or ["nothing to reload"]
