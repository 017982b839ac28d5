"""The echo service, RFC 862: the bare packet loop of the benchmarks."""

from __future__ import annotations

from typing import Any

from xdpkit.config import Config
from xdpkit.services.access_list import access
from xdpkit.services.base import Prepared, Service


class EchoService(Service):
    """Answered in ``cext/service/``; a reload changes how long it spins on each packet."""

    def admit(self) -> dict[str, Any]:
        return {"echo_access": access(None, self.nowhere)}

    async def prepare(self, config: Config) -> Prepared:
        return Prepared({"echo_spin_ns": config.echo.spin_ns if config.echo else 0})
