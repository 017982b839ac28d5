"""The DNS service: zones, cookie secrets and the settings of replies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio

from xdpkit.config import Config, DnsConfig
from xdpkit.runtime.current_task import CurrentTask
from xdpkit.runtime.health import Reason
from xdpkit.runtime.inbox import Inbox
from xdpkit.runtime.publisher import SnapshotPublisher, dns_settings
from xdpkit.services.access_list import Rules, access, rules
from xdpkit.services.base import Prepared, Service
from xdpkit.services.dns.serving.cookies import CookieSecrets
from xdpkit.services.dns.serving.explained import explained
from xdpkit.services.dns.serving.rrl import response_limits
from xdpkit.services.dns.serving.zone_store import ZoneStore


class DnsService(Service):
    """Owns the zone store and the random cookie secrets, if none are configured."""

    def __init__(self, name: str, dns: DnsConfig, publisher: SnapshotPublisher) -> None:
        super().__init__(name, publisher)
        self._config = dns
        self._rules: Rules | None = None
        self._zones = ZoneStore(dns, publisher)
        self._cookies = CookieSecrets(publisher) if _wants_random(dns) else None
        self._rolling = CurrentTask(self._roll)

    def admit(self) -> dict[str, Any]:
        return {"dns_access": access(self._rules, self.nowhere)}

    async def open(self) -> None:
        """Raises ZoneError for a directory without zones: what is wrong with one stops no start."""
        self._rules = rules(self._config.allow, self._config.deny)
        self._publisher.change(**_settings(self._config, self._cookies), **self.admit())
        await self._zones.load()

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._zones.run)
            tasks.start_soon(self._rolling.run)

    def _roll(self) -> Callable[[], Awaitable[None]] | None:
        return self._cookies.run if self._cookies else None

    async def prepare(self, config: Config) -> Prepared:
        dns = config.dns
        if dns is None:
            return Prepared()
        cookies = self._cookies
        if _wants_random(dns) != (cookies is not None):
            cookies = CookieSecrets(self._publisher) if _wants_random(dns) else None
        # In a thread: a hundred thousand exempt prefixes take seconds.
        settings = await anyio.to_thread.run_sync(_settings, dns, cookies)
        listed = await anyio.to_thread.run_sync(rules, dns.allow, dns.deny)
        admitted = await anyio.to_thread.run_sync(access, listed, self.nowhere)
        # Last: nothing else is waited for between reading the zones and publishing them.
        zones = await self._zones.prepare(dns)
        if cookies:
            # They may have been rolled over meanwhile.
            settings["cookie_secrets"] = cookies.secrets

        def commit() -> None:
            zones.commit()
            self._config, self._cookies, self._rules = dns, cookies, listed
            self._rolling.restart()

        facts = {
            "exempt": len(dns.rrl.exempt) if dns.rrl else 0,
            "dns_allow": len(dns.allow),
            "dns_deny": len(dns.deny),
            **zones.facts,
        }
        parts = {**settings, "dns_access": admitted, **zones.parts}
        return Prepared(parts, commit, zones.settled, facts, zones.discard, zones.wrong)

    def facts(self) -> dict[str, Any]:
        return {
            "zones": self._zones.infos,
            "arena": self._zones.facts(),
            "health": self._zones.health_problems(),
        }

    async def reload_zone(self, zone: str) -> dict[str, Any]:
        """Reads one zone again, whatever its files look like. Raises XdpkitError."""
        return await self._zones.reload_zone(zone)

    def problems(self) -> list[Reason]:
        return self._zones.problems()

    def inboxes(self) -> tuple[Inbox[Any, Any], ...]:
        return (self._zones.inbox,)

    def handed_over(self) -> dict[str, Any]:
        cookies = {"cookies": self._cookies.handed_over()} if self._cookies else {}
        return {**cookies, "health": self._zones.handed_over()}

    def take_over(self, facts: Mapping[str, Any]) -> None:
        if self._cookies and facts["cookies"]:
            self._cookies.take_over(facts["cookies"])
        if facts.get("health"):
            self._zones.take_over(facts["health"])

    async def end(self) -> None:
        await self._zones.end()

    def close(self) -> None:
        self._zones.close()


def _wants_random(dns: DnsConfig) -> bool:
    return dns.cookies and not dns.cookie_secret


def _settings(dns: DnsConfig, cookies: CookieSecrets | None) -> dict[str, Any]:
    """The parts of the snapshot besides the zones."""
    secrets = cookies.secrets if cookies else dns.cookie_secret
    return {
        "dns": dns_settings(dns, **explained(dns)),
        "cookie_secrets": secrets,
        **response_limits(dns.rrl),
    }
