"""``xdpkit reload`` and SIGHUP: zones, keys and lists are read again; the broken stay."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

from xdpkit.errors import XdpkitError
from xdpkit.runtime.notify import notify, notify_reloading

log = logging.getLogger("xdpkit")


class Part(Protocol):
    """What can be read again."""

    async def reload(self) -> dict[str, Any]:
        """Returns facts once the threads use it. Raises XdpkitError; then all is as before."""


class Reloader:
    """Reads every part again, whatever becomes of the others."""

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
        """The same for SIGHUP, which has nobody to answer to but the log."""
        try:
            facts = await self.reload()
        except XdpkitError as error:
            log.error("%s; the old stays in use", error)
        else:
            log.info("read again: %s", ", ".join(told(facts)))


def told(facts: dict[str, Any]) -> list[str]:
    """What was read, in words."""
    counted = {}
    if "zones" in facts:
        same = "" if facts["zones_changed"] else " as they were"
        counted = {f"zones{same}": len(facts["zones"])}
    counted |= {
        name: facts[name] for name in ("keys", "allow", "deny", "exempt") if facts.get(name)
    }
    return [f"{count} {name}" for name, count in counted.items()] or ["nothing that changes"]
