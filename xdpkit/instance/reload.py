"""``xdpkit reload`` and SIGHUP: reload zones, keys and lists; broken ones stay as they were."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

from xdpkit.errors import XdpkitError
from xdpkit.runtime.notify import notify, notify_reloading

log = logging.getLogger("xdpkit")


class Part(Protocol):
    """A part of the instance that can be reloaded."""

    async def reload(self) -> dict[str, Any]:
        """Returns facts once the threads use it. Raises XdpkitError, and changes nothing."""


class Reloader:
    """Reloads every part, even if others fail."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    async def reload(self) -> dict[str, Any]:
        """The facts of all parts. Raises the first XdpkitError, after the last part."""
        notify_reloading()
        try:
            return await self._reload()
        finally:
            notify("READY=1")

    async def _reload(self) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        errors = []
        for part in self._parts:
            try:
                facts |= await part.reload()
            except XdpkitError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return facts

    async def reload_and_log(self) -> None:
        """The same for SIGHUP; the result goes to the log."""
        try:
            facts = await self.reload()
        except XdpkitError as error:
            log.error("%s; the old stays in use", error)
        else:
            log.info("reloaded: %s", ", ".join(summary(facts)))


def summary(facts: dict[str, Any]) -> list[str]:
    """What was reloaded, in words."""
    counted = {}
    if "zones" in facts:
        same = "" if facts["zones_changed"] else " unchanged"
        counted = {f"zones{same}": len(facts["zones"])}
    counted |= {
        name: facts[name] for name in ("keys", "allow", "deny", "exempt") if facts.get(name)
    }
    return [f"{count} {name}" for name, count in counted.items()] or ["nothing to reload"]
