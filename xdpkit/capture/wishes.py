"""What a capture asks of the instance, and what it is told: the words between the two."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from xdpkit._core._capture import TCP_THREAD, UDP_THREAD
from xdpkit.capture.pcapng import ETHERNET, RAW_IP, Interface
from xdpkit.errors import ControlError, UsageError

VERB = "dump"

SAMPLE_MOST = 1_000_000_000
BUFFER_LEAST, BUFFER_MOST = 1, 256
# For all threads together: 64 queues with the default.
_MEMORY_MOST_MIB = 1024


@dataclass(frozen=True)
class Wishes:
    """``buffer_mib`` is for each answering thread. Raises UsageError for what cannot be."""

    filter: str = ""
    sample: int = 1
    buffer_mib: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.sample <= SAMPLE_MOST:
            raise UsageError(f"--sample {self.sample}: from 1 to {SAMPLE_MOST:,}")
        size = self.buffer_mib
        if not BUFFER_LEAST <= size <= BUFFER_MOST or size & (size - 1):
            raise UsageError(
                f"--buffer {size}: a power of two from {BUFFER_LEAST} to {BUFFER_MOST} (MiB)"
            )

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """What another process sent. Raises ControlError, UsageError."""
        try:
            given: dict[str, Any] = json.loads(text)
            wishes = cls(**given)
            if any(type(getattr(wishes, f.name)) is not type(f.default) for f in fields(wishes)):
                raise TypeError
        except (ValueError, TypeError, RecursionError, AttributeError) as error:
            raise ControlError("a capture that this version does not understand") from error
        return wishes

    def check_memory(self, threads: int) -> None:
        """Raises UsageError for more memory than a capture may have."""
        if threads * self.buffer_mib > _MEMORY_MOST_MIB:
            raise UsageError(
                f"--buffer {self.buffer_mib}: {threads} threads with as many MiB each are more than"
                f" {_MEMORY_MOST_MIB} MiB: take a smaller one"
            )


def thread_name(thread: int) -> str:
    """As the thread calls itself: ``_core/_loop.pyx`` and the listeners."""
    return {UDP_THREAD: "xdpkit-udp", TCP_THREAD: "xdpkit-tcp"}.get(thread, f"xdpkit-q{thread}")


def interface(ifname: str, thread: int) -> Interface:
    """The file's interface for a thread."""
    if thread == UDP_THREAD:
        return Interface(f"{ifname} UDP", "the slow path's UDP listener; headers are made", RAW_IP)
    if thread == TCP_THREAD:
        return Interface(f"{ifname} TCP", "the slow path's TCP listener; headers are made", RAW_IP)
    return Interface(f"{ifname} queue {thread}", f"RX queue {thread}, AF_XDP", ETHERNET)
