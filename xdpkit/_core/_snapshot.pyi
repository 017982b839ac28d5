from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Self

from typing_extensions import disjoint_base

from xdpkit._core._keys import Keys
from xdpkit._core._prefix_map import AccessList
from xdpkit._core._ratelimit import RateLimitRule

@disjoint_base
class ZoneMap:
    def __init__(self, fd: int, size: int) -> None: ...
    def view(self) -> memoryview: ...
    @property
    def size(self) -> int: ...

@disjoint_base
class Snapshot:
    def __init__(
        self,
        ports: Mapping[str, int],
        *,
        zones: ZoneMap | None = None,
        dns_max_udp: int = 1232,
        echo_spin_ns: int = 0,
        ntp: dict[str, int] | None = None,
        keys: Keys | None = None,
        access: AccessList | None = None,
        limit: RateLimitRule | None = None,
        phc: dict[str, int] | None = None,
        reserved: Iterable[str | IPv4Address | IPv6Address] = (),
        dns: dict[str, Any] | None = None,
    ) -> None: ...
    @property
    def zones(self) -> ZoneMap | None: ...
    @property
    def keys(self) -> Keys | None: ...
    @property
    def access(self) -> AccessList | None: ...

@disjoint_base
class SharedSnapshot:
    def __new__(cls, first: Snapshot) -> Self: ...
    @property
    def current(self) -> Snapshot: ...
    def publish(self, snapshot: Snapshot) -> None: ...
    def collect(self) -> int: ...
