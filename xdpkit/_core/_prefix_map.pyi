from ipaddress import IPv4Address, IPv6Address
from typing import Self

from typing_extensions import disjoint_base

@disjoint_base
class PrefixMap:
    def __new__(cls, blob: bytes) -> Self: ...
    def value(self, address: str | IPv4Address | IPv6Address) -> int: ...

class AccessList(PrefixMap):
    def allowed(self, address: str | IPv4Address | IPv6Address) -> bool: ...
