from typing_extensions import disjoint_base

FRAMES: int

class XskError(OSError):
    step: str
    def __init__(self, step: str, number: int) -> None: ...

@disjoint_base
class XskSocket:
    def __init__(
        self,
        ifindex: int,
        queue: int,
        zerocopy: bool = False,
        busy_poll: bool = False,
        tx_metadata: int = 0,
    ) -> None: ...
    @classmethod
    def adopt(
        cls,
        fd: int,
        umem_fd: int,
        queue: int,
        tx_metadata: int = 0,
        huge_pages: bool = False,
    ) -> XskSocket: ...
    def resume(self) -> None: ...
    @property
    def umem_fd(self) -> int: ...
    @property
    def queue(self) -> int: ...
    @property
    def zerocopy(self) -> bool: ...
    @property
    def huge_pages(self) -> bool: ...
    @property
    def tx_metadata(self) -> int: ...
    def fileno(self) -> int: ...
    def statistics(self) -> dict[str, int]: ...
    def close(self) -> None: ...
