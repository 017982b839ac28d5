"""Owns the current snapshot: collects its parts, publishes it, and frees the old ones.

Each service sends the parts that it owns (zones, NTP state, addresses); a new snapshot consists of
the latest of each. Old ones are freed after a grace period: when every answering thread has passed
a quiescent state.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from xdpkit._core._capture import CaptureSet
from xdpkit._core._keys import Keys
from xdpkit._core._prefix_map import AccessList
from xdpkit._core._ratelimit import RateLimitRule
from xdpkit._core._rrl import RrlRule
from xdpkit._core._snapshot import (
    DNS_SETTINGS,
    DnsSettings,
    NtpState,
    PhcMap,
    ReservedSources,
    SharedSnapshot,
    Snapshot,
)
from xdpkit._core._zones import ZoneDirectory
from xdpkit.config import Config, DnsConfig
from xdpkit.errors import XdpkitError

# How often the publisher checks for the end of a grace period, which takes up to a second.
COLLECT_SECONDS = 0.01

# After this time a thread counts as stalled: five times its longest wait.
GRACE_PERIOD_SECONDS = 5.0

log = logging.getLogger("xdpkit")


@dataclass(frozen=True)
class Parts:
    """The parts of a snapshot; each is immutable, and built once by the service that owns it."""

    ports: Mapping[str, int]
    dns: DnsSettings = field(default_factory=DnsSettings)
    cookie_secrets: tuple[bytes, ...] = field(default=(), repr=False)
    rrl: RrlRule | None = None
    rrl_others: AccessList | None = None
    echo_spin_ns: int = 0
    zones: ZoneDirectory | None = None
    ntp: NtpState = field(default_factory=NtpState)
    keys: Keys | None = None
    access: AccessList | None = None
    dns_access: AccessList | None = None
    echo_access: AccessList | None = None
    limit: RateLimitRule | None = None
    reserved: ReservedSources = field(default_factory=ReservedSources)
    phc: PhcMap | None = None
    capture: CaptureSet | None = None
    latency: bool = True
    server_address: bytes = b""
    """One of those that are served, as text."""

    def snapshot(self) -> Snapshot:
        """Its form for the C code; DNS is off until there are zones."""
        ready = {
            name: port
            for name, port in self.ports.items()
            if name != "dns" or self.zones is not None
        }
        return Snapshot(
            ready,
            zones=self.zones,
            dns=self.dns.completed(
                self.cookie_secrets, self.rrl, self.rrl_others, self.server_address
            ),
            echo_spin_ns=self.echo_spin_ns,
            ntp=self.ntp,
            keys=self.keys,
            access=self.access,
            dns_access=self.dns_access,
            echo_access=self.echo_access,
            limit=self.limit,
            reserved=self.reserved,
            phc=self.phc,
            capture=self.capture,
            latency=self.latency,
        )


def dns_settings(dns: DnsConfig, **others: Any) -> DnsSettings:
    """[dns] as the C code has it: every key that ``cext/dns/settings.h`` has a setting for.

    ``others`` are settings that are no keys.
    """
    sizes = {"max_udp_ipv4": dns.limit(4), "max_udp_ipv6": dns.limit(6)}
    keys = {name: getattr(dns, name) for name in DNS_SETTINGS if hasattr(dns, name)}
    return DnsSettings(**keys | sizes | others)


def initial_parts(config: Config) -> Parts:
    """The parts that no service opens."""
    return Parts(
        ports=config.ports(),
        echo_spin_ns=config.echo.spin_ns if config.echo else 0,
        latency=config.interface.latency,
    )


class SnapshotPublisher:
    """The one writer of the current snapshot; the answering threads read ``shared``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.shared = SharedSnapshot(parts.snapshot())
        self._published = anyio.Event()

    def change(self, **parts: Any) -> None:
        """Publishes a snapshot with the named parts replaced; threads use it from now on.

        What changes every second, ``ntp`` and ``phc``, is small; the other parts are kept.
        """
        # Published before it is kept: parts that do not fit (ValueError) change nothing.
        changed = replace(self._parts, **parts)
        self.shared.publish(changed.snapshot())
        self._parts = changed
        self._published.set()

    async def wait_for_grace_period(self) -> None:
        """Waits until no thread can hold a snapshot older than the current one, and frees those.

        Raises XdpkitError, and keeps them, if a thread reaches no quiescent state.
        """
        with anyio.move_on_after(GRACE_PERIOD_SECONDS):
            while self.shared.collect():
                await anyio.sleep(COLLECT_SECONDS)
            return
        raise XdpkitError(
            "an answering thread is stalled and may still use the old data: it is kept"
        )

    async def settle(self) -> None:
        """Waits for the grace period of what is in use already; a stalled thread is logged."""
        try:
            await self.wait_for_grace_period()
        except XdpkitError as error:
            log.error("%s", error)

    async def run(self) -> None:
        """Frees old snapshots after each change, until canceled."""
        while True:
            await self._published.wait()
            self._published = anyio.Event()
            await self.settle()
