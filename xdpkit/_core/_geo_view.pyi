from array import array
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Self

from typing_extensions import Buffer, disjoint_base

CLASSES_MAX: int
EXACT: int
ID_BYTES: int

class TooManyError(ValueError): ...

@disjoint_base
class GeoView:
    def __new__(cls, block: Buffer) -> Self: ...
    @property
    def classes(self) -> int: ...
    @property
    def id(self) -> bytes: ...
    def digest(self) -> bytes: ...
    def text(self, number: int) -> tuple[str, str] | None: ...
    def find(self, address: str | IPv4Address | IPv6Address) -> tuple[int, int]: ...
    def find_all(self, addresses: Buffer, ip_version: int, rounds: int = 1) -> int: ...

@disjoint_base
class Merge:
    def __new__(cls, tables: Sequence[tuple[Buffer, Buffer, Buffer, Buffer, Buffer]]) -> Self: ...
    def combinations(self) -> list[tuple[int, ...]]: ...
    def build(
        self,
        class_of: array[int],
        classes: int,
        exact: list[tuple[int, int]],
        inputs: bytes,
        texts: bytes = b"",
    ) -> tuple[bytes, bytes]: ...
