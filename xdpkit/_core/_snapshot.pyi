from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, Self

from typing_extensions import disjoint_base

from xdpkit._core._capture import CaptureSet
from xdpkit._core._keys import Keys
from xdpkit._core._prefix_map import AccessList
from xdpkit._core._ratelimit import RateLimitRule
from xdpkit._core._rrl import RrlRule
from xdpkit._core._zones import ZoneDirectory

@disjoint_base
class NtpState:
    def __init__(
        self,
        leap: int = 0,
        stratum: int = 0,
        precision: int = 0,
        drift_ppm: int = 0,
        root_delay: int = 0,
        root_dispersion: int = 0,
        refid: int = 0,
        mono_epoch: int = 0,
        reference: int = 0,
        updated_ns: int = 0,
        expires_ns: int = 0,
        leap_ends_ns: int = 0,
    ) -> None: ...

@disjoint_base
class PhcMap:
    def __init__(self, phc_ns: int, tai_ns: int, rate: int) -> None: ...

DNS_SETTINGS: Final[tuple[str, ...]]

@disjoint_base
class DnsSettings:
    def __init__(
        self,
        cookie_secrets: Sequence[bytes] = (),
        rrl: RrlRule | None = None,
        rrl_others: AccessList | None = None,
        **settings: int | bytes,
    ) -> None: ...
    def completed(
        self,
        cookie_secrets: Sequence[bytes],
        rrl: RrlRule | None,
        rrl_others: AccessList | None,
        server_address: bytes = b"",
    ) -> DnsSettings: ...

@disjoint_base
class ReservedSources:
    def __new__(cls, addresses: Iterable[str | IPv4Address | IPv6Address] = ()) -> Self: ...

@disjoint_base
class Snapshot:
    def __init__(
        self,
        ports: Mapping[str, int],
        *,
        zones: ZoneDirectory | None = None,
        dns_max_udp: int = 1232,
        echo_spin_ns: int = 0,
        ntp: NtpState | Mapping[str, int] | None = None,
        keys: Keys | None = None,
        access: AccessList | None = None,
        dns_access: AccessList | None = None,
        echo_access: AccessList | None = None,
        limit: RateLimitRule | None = None,
        phc: PhcMap | Mapping[str, int] | None = None,
        reserved: ReservedSources | Iterable[str | IPv4Address | IPv6Address] = (),
        dns: DnsSettings | Mapping[str, Any] | None = None,
        capture: CaptureSet | None = None,
        latency: bool = False,
    ) -> None: ...
    @property
    def reserved(self) -> ReservedSources: ...
    @property
    def zones(self) -> ZoneDirectory | None: ...
    @property
    def keys(self) -> Keys | None: ...
    @property
    def access(self) -> AccessList | None: ...
    @property
    def dns_access(self) -> AccessList | None: ...
    @property
    def echo_access(self) -> AccessList | None: ...

@disjoint_base
class SharedSnapshot:
    def __new__(cls, first: Snapshot) -> Self: ...
    @property
    def current(self) -> Snapshot: ...
    def publish(self, snapshot: Snapshot) -> None: ...
    def collect(self) -> int: ...
