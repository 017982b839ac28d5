from typing import Final, Literal, NamedTuple, TypedDict, type_check_only

class Verdict(NamedTuple):
    name: str
    kind: Literal["take", "pass", "answer", "drop"]
    text: str

@type_check_only
class Counters(TypedDict):
    verdicts: list[int]
    csum_partial: int
    stamp_hw: int
    stamp_xdp: int
    stamp_kernel: int
    stamp_clock: int
    batches: int
    kicks: int
    waits: int
    heartbeat: int

KINDS: Final[tuple[str, ...]]
VERDICTS: Final[tuple[Verdict, ...]]
SERVICES: Final[dict[str, int]]
QUEUES: Final[int]
VERDICT_FIRST: Final[int]
VERDICT_SLOTS: Final[int]
VERDICT_END: Final[int]
KEYS: Final[int]
CHUNK: Final[int]
META_BYTES: Final[int]
RX_TIMESTAMP_CALL: Final[int]
MAX_FRAME: Final[int]
