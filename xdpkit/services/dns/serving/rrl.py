"""Publishes the configured response rate limits, at the start and on reload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xdpkit._core._prefix_map import AccessList
from xdpkit.config import load
from xdpkit.config.rrl import RrlConfig
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.services import access_list


class ResponseLimits:
    """Owns the published form of [dns.rrl]."""

    def __init__(self, path: Path, config: RrlConfig | None, shared: SnapshotPublisher) -> None:
        self._path, self._publisher = path, shared
        self._publish(config)

    async def reload(self) -> dict[str, Any]:
        """Reads [dns.rrl] of the configuration again; it may have been added or removed.

        Returns once every thread uses it. Raises ConfigError; then the old one stays in use.
        """
        fresh = load(self._path).dns
        if fresh is not None:
            self._publish(fresh.rrl)
        await self._publisher.wait_for_grace_period()
        return {"exempt": self._exempt}

    def _publish(self, config: RrlConfig | None) -> None:
        exempt = config.exempt if config else ()
        self._publisher.change(
            rrl=config.rule if config else None,
            rrl_others=AccessList(access_list.build((), exempt)) if exempt else None,
        )
        self._exempt = len(exempt)
