"""[dns.rrl] of the configuration file: how many answers a source is sent over UDP."""

from __future__ import annotations

from xdpkit._core._rrl import RRL_BOUNDS, RrlRule
from xdpkit.config.prefixes import Prefix, check_prefixes, read_prefixes
from xdpkit.config.schema import custom, integer, section
from xdpkit.config.toml_document import Table

_RULE = RrlRule()


def _exempt(table: Table, key: str) -> tuple[Prefix, ...]:
    exempt = read_prefixes(table, key)
    try:
        check_prefixes((), exempt)
    except ValueError as error:
        raise table.error(key, str(error)) from error
    return exempt


@section("dns.rrl")
class RrlConfig:
    """Response rate limiting: how many answers over UDP an address, and each prefix it lies in,
    may be sent. Without this table there is no limit; turn it on for a public server.
    """

    rate: int = integer(
        *RRL_BOUNDS["rate"],
        default=_RULE.rate,
        doc="Answers per second to an address, and more to its prefixes: 32 times that to a /24."
        " 0: no limit.",
    )
    instant: int = integer(
        *RRL_BOUNDS["instant"], default=_RULE.instant, doc="Answers in a burst after a pause."
    )
    slip: int = integer(
        *RRL_BOUNDS["slip"],
        default=_RULE.slip,
        doc="One in this many answers over the limit is sent truncated (TC) or BADCOOKIE, so that"
        " the client retries over TCP; 0: all are dropped.",
    )
    exempt: tuple[Prefix, ...] = custom(
        _exempt, accepts="array of prefixes", default=(), doc="Prefixes without a limit."
    )

    @property
    def rule(self) -> RrlRule:
        """The rule of an address, as the answering threads use it."""
        return RrlRule(self.rate, self.instant, self.slip)
