from ipaddress import IPv4Address, IPv6Address

from xdpkit._core._snapshot import Snapshot
from xdpkit._core._thread_state import ThreadState

def answer(
    snapshot: Snapshot,
    service: str,
    payload: bytes,
    source: tuple[str | IPv4Address | IPv6Address, int] = ("192.0.2.1", 40000),
    rx_ns: int = 0,
    tx_ns: int = 0,
    mono_ns: int = 0,
    state: ThreadState | None = None,
    tcp: bool = False,
    room: int = 0,
) -> tuple[str, bytes | None]: ...
def answer_frame(
    snapshot: Snapshot,
    data: bytes,
    rx_ns: int = 0,
    tx_ns: int = 0,
    mono_ns: int = 0,
    state: ThreadState | None = None,
) -> tuple[str, bytes | None]: ...
