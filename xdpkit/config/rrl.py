"""[dns.rrl] of the configuration: how many answers a source is sent over UDP."""

from __future__ import annotations

from dataclasses import dataclass

from xdpkit._core._rrl import RRL_BOUNDS, RrlRule
from xdpkit.config.prefixes import Prefix, check_prefixes, read_prefixes
from xdpkit.config.toml_document import Table

RRL_KEYS = (*RRL_BOUNDS, "exempt")
"""What may stand in the table."""


@dataclass(frozen=True)
class RrlConfig:
    """Response rate limiting: the rule of an address, and the prefixes that it does not hold for.

    ``rate`` answers a second, 0 for any number; ``instant`` of them at once after a rest; one in
    ``slip`` of those over the limit is told to come over TCP, 0 for none.
    """

    rule: RrlRule
    exempt: tuple[Prefix, ...] = ()


def read_rrl(table: Table | None) -> RrlConfig | None:
    """The table's values; None without the table. Raises ConfigError at the first that is wrong."""
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
