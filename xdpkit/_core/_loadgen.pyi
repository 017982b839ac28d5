from collections.abc import Sequence

from typing_extensions import disjoint_base

from xdpkit._core._requests import Requests
from xdpkit._core._xsk import XskSocket

@disjoint_base
class Generator(Requests):
    def __init__(
        self,
        socket: XskSocket,
        service: str,
        header: bytes,
        ip_at: int,
        first_port: int,
        ports: int = 1,
        queries: Sequence[bytes] = (),
        echo_bytes: int = 48,
        addresses: int = 1,
        shared: bool = False,
        clients: int = 0,
    ) -> None: ...
    @property
    def socket(self) -> XskSocket: ...
    def run(
        self,
        seconds: float,
        count: int = 0,
        rate: int = 0,
        window: int = 1024,
        quiet: float = 3600.0,
        resume: bool = False,
    ) -> None: ...
    def finish(self, seconds: float = 1.0, quiet: float = 3600.0) -> None: ...
