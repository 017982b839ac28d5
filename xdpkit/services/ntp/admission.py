"""Who may ask for the time: symmetric keys, access list, and rate limit, all reloadable."""

from __future__ import annotations

import logging

from xdpkit._core._keys import Keys
from xdpkit._core._prefix_map import AccessList
from xdpkit.config.ntp import NtpConfig
from xdpkit.regular_file import Content
from xdpkit.services import access_list
from xdpkit.services.base import Prepared
from xdpkit.services.ntp.keys import KeyFile, parse_keys

log = logging.getLogger("xdpkit")


class Admission:
    """Builds the key table, access list and limit of a configuration."""

    def __init__(self) -> None:
        self.slots: dict[int, int] = {}
        """The counter slot of every key ID ever loaded."""

    def prepare(self, config: NtpConfig, content: Content | None) -> Prepared:
        """Takes the key file's content, if there is one. Raises ConfigError."""
        file = parse_keys(config.keys, content) if config.keys and content else None
        slots = dict(self.slots)
        rules = (
            access_list.build(config.allow, config.deny) if config.allow or config.deny else None
        )

        def commit() -> None:
            self.slots = slots
            for warning in file.warnings if file else ():
                log.warning("%s", warning)

        return Prepared(
            {
                "keys": _table(file, slots) if file else None,
                "access": AccessList(rules) if rules else None,
                "limit": config.limit.rule if config.limit else None,
            },
            commit,
            facts={
                "keys": len(file.keys) if file else 0,
                "allow": len(config.allow),
                "deny": len(config.deny),
            },
        )


def _table(file: KeyFile, slots: dict[int, int]) -> Keys:
    """Keys keep their counter slot across reloads, and slots are never reused."""
    return Keys(
        (key.id, key.algorithm, key.secret, slots.setdefault(key.id, len(slots)))
        for key in file.keys
    )
