from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Self, TypedDict, type_check_only

from typing_extensions import disjoint_base

OPERATIONS: Final[tuple[str, ...]]
FILTER_STEPS: Final[int]
FILTER_DEPTH: Final[int]
FILTER_BYTES: Final[int]
SESSIONS: Final[int]
UDP_THREAD: Final[int]
TCP_THREAD: Final[int]
KINDS: Final[tuple[str, ...]]

@type_check_only
class Counts(TypedDict):
    seen: int
    matched: int
    sampled: int
    lost: int

@disjoint_base
class CaptureFilter:
    def __init__(self, steps: Sequence[tuple[str, bytes | None, int]] = ()) -> None: ...
    def run(
        self,
        *,
        source: bytes | None = None,
        message: bytes = b"",
        service: int = 0,
        thread: int = 0,
        outcome: int = 0,
        reply: bytes | None = None,
    ) -> bool | None: ...

@disjoint_base
class CaptureScratch: ...

@disjoint_base
class CaptureSession:
    def __new__(
        cls, wanted: CaptureFilter, sample: int, threads: Iterable[int], ring_bytes: int
    ) -> Self: ...
    @property
    def records_fd(self) -> int: ...
    @property
    def tails_fd(self) -> int: ...
    @property
    def ring_bytes(self) -> int: ...
    @property
    def threads(self) -> tuple[int, ...]: ...
    def counts(self) -> Counts: ...
    def put(
        self, thread: int, request: bytes, reply: bytes = b"", *, outcome: int = 1, kind: int = 1
    ) -> None: ...

@disjoint_base
class CaptureSet:
    def __new__(
        cls, sessions: Sequence[CaptureSession], scratch: Mapping[int, CaptureScratch]
    ) -> Self: ...
    @property
    def sessions(self) -> tuple[CaptureSession, ...]: ...

class Record(NamedTuple):
    kind: str
    outcome: int
    service: int
    thread: int
    rx_ns: int
    tx_ns: int
    source: bytes
    port: int
    local: bytes
    local_port: int
    payload: int
    request: bytes
    reply: bytes

@disjoint_base
class CaptureReader:
    def __new__(
        cls, records_fd: int, tails_fd: int, ring_bytes: int, names: Sequence[str]
    ) -> Self: ...
    def blocks_up_to(self, size: int, records: int) -> tuple[bytes, int]: ...
    def take(self, records: int) -> list[Record]: ...
    def counts(self, ring: int) -> Counts: ...
