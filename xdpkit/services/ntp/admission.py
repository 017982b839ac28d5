"""Who may ask for the time: symmetric keys, access list, and rate limit, all reloadable."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from xdpkit._core._keys import Keys
from xdpkit._core._prefix_map import AccessList
from xdpkit._core._ratelimit import RateLimitRule
from xdpkit.config import load
from xdpkit.config.ntp import NtpConfig
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.services import access_list
from xdpkit.services.ntp.keys import KeyFile, read_keys

log = logging.getLogger("xdpkit")


class Admission:
    """Owns what was last built from the key file and the configured lists."""

    def __init__(self, path: Path, config: NtpConfig, shared: SnapshotPublisher) -> None:
        self._path, self._config = path, config
        self._publisher = shared
        self.slots: dict[int, int] = {}
        """The counter slot of every key ID ever loaded."""
        self._keys = 0

    def load(self) -> None:
        """Reads the key file and publishes. Raises ConfigError and then changes nothing."""
        self._publish(self._config)

    async def reload(self) -> dict[str, Any]:
        """Rereads the configured lists and limits, and the key file.

        Returns once every thread uses them. Raises ConfigError and then keeps the old ones.
        Everything else in [ntp] takes effect at the next start.
        """
        fresh = load(self._path).ntp
        if fresh is not None:
            self._publish(fresh)
            self._config = fresh
        await self._publisher.wait_for_grace_period()
        config = self._config
        return {"keys": self._keys, "allow": len(config.allow), "deny": len(config.deny)}

    def _publish(self, config: NtpConfig) -> None:
        file = read_keys(config.keys) if config.keys else None
        for warning in file.warnings if file else ():
            log.warning("%s", warning)
        rules = (
            access_list.build(config.allow, config.deny) if config.allow or config.deny else None
        )
        self._publisher.change(
            keys=self._table(file) if file else None,
            access=AccessList(rules) if rules else None,
            limit=config.limit.rule if config.limit else RateLimitRule(),
        )
        self._keys = len(file.keys) if file else 0

    def _table(self, file: KeyFile) -> Keys:
        """Keys keep their counter slot across reloads, and slots are never reused."""
        return Keys(
            (key.id, key.algorithm, key.secret, self.slots.setdefault(key.id, len(self.slots)))
            for key in file.keys
        )
