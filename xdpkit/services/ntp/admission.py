"""Who may ask for the time: symmetric keys, access lists and the rate limit, by reload too."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from xdpkit._core._access import AccessList
from xdpkit._core._keys import Keys
from xdpkit._core._ratelimit import RateLimitRule
from xdpkit.config import load
from xdpkit.config.ntp import NtpConfig
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.services import access_list
from xdpkit.services.ntp.keys import KeyFile, read_keys

log = logging.getLogger("xdpkit")


class Admission:
    """Owns what was made of the key file and of the configuration's lists last."""

    def __init__(self, path: Path, config: NtpConfig, shared: SnapshotPublisher) -> None:
        self._path, self._config = path, config
        self._publisher = shared
        self.slots: dict[int, int] = {}
        """The counter of each key id that was ever there."""
        self._keys = 0

    def load(self) -> None:
        """Reads the key file and publishes. Raises ConfigError; nothing has changed then."""
        self._publish(self._config)

    async def reload(self) -> dict[str, Any]:
        """Reads the configuration's lists and limits, and the key file, again.

        Returns once every thread uses them. Raises ConfigError; then the old ones stay. Everything
        else in the configuration's [ntp] is for the next start.
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
        """Keys keep their counter's slot over a reload, and no slot is given away again."""
        return Keys(
            (key.id, key.algorithm, key.secret, self.slots.setdefault(key.id, len(self.slots)))
            for key in file.keys
        )
