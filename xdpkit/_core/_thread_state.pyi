from typing import Any, Self

from typing_extensions import disjoint_base

TRANSMIT_SOURCES: tuple[str, ...]
TX_METADATA_BYTES: int
DNS_TYPES: int
DNS_LARGEST: dict[str, int]

@disjoint_base
class ThreadState:
    def __new__(
        cls, interleaved: int = 0, limited: int = 0, compensate: bool = False, answers: int = 0
    ) -> Self: ...
    def seed_draws(self, seed: int) -> None: ...
    def counters(self) -> dict[str, Any]: ...
    def dns_counters(self) -> dict[str, int]: ...
    def dns_traffic(self) -> dict[str, Any]: ...

def error_bucket(ns: int) -> int: ...
