from ipaddress import IPv4Address, IPv6Address
from typing import Self

from typing_extensions import disjoint_base

@disjoint_base
class AccessList:
    def __new__(cls, blob: bytes) -> Self: ...
    def allowed(self, address: str | IPv4Address | IPv6Address) -> bool: ...
