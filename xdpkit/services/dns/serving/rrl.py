"""[dns.rrl] as parts of the snapshot."""

from __future__ import annotations

from typing import Any

from xdpkit._core._prefix_map import AccessList
from xdpkit.config.rrl import RrlConfig
from xdpkit.services import access_list


def response_limits(config: RrlConfig | None) -> dict[str, Any]:
    """The parts of the snapshot; without the table, nobody is limited."""
    exempt = config.exempt if config else ()
    return {
        "rrl": config.rule if config else None,
        "rrl_others": AccessList(access_list.build((), exempt)) if exempt else None,
    }
