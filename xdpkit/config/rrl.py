"""[dns.rrl] of the configuration file: how many answers a source is sent over UDP."""

from __future__ import annotations

from dataclasses import dataclass

from xdpkit._core._rrl import RRL_BOUNDS, RrlRule
from xdpkit.config.prefixes import Prefix, check_prefixes, read_prefixes
from xdpkit.config.toml_document import Table

RRL_KEYS = (*RRL_BOUNDS, "exempt")
"""The valid keys of the table."""


@dataclass(frozen=True)
class RrlConfig:
    """Response rate limiting: the rule of an address, and the prefixes that are exempt.

    ``rate`` answers a second, 0 for no limit; a burst of ``instant`` after a pause; one in ``slip``
    of the limited answers is truncated, so that the client retries over TCP, 0 for none.
    """

    rule: RrlRule
    exempt: tuple[Prefix, ...] = ()


def read_rrl(table: Table | None) -> RrlConfig | None:
    """The table's values; None without the table. Raises ConfigError for the first wrong one."""
    if table is None:
        return None
    exempt = read_prefixes(table, "exempt")
    try:
        check_prefixes((), exempt)
    except ValueError as error:
        raise table.error("exempt", str(error)) from error
    rule = RrlRule(
        **{
            name: table.integer(name, getattr(RrlRule(), name), *bounds)
            for name, bounds in RRL_BOUNDS.items()
        }
    )
    return RrlConfig(rule, exempt)
