"""How much memory the compiler's process may use, and that it goes first when memory is short."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

from xdpkit._core import _memory_reserve

# Address space that any zone may take: enough for 1.5 million names made by $GENERATE.
BASE_BYTES = 1 << 30

# What is allowed on top for each byte that was read: a zone of addresses takes 30 (measured with
# 150,000 names), one of the shortest lines that there can be twice as many.
BYTES_PER_BYTE = 200

# Of the machine's memory: the server's own is locked and must find room, too.
SHARE = 0.75

# For leaving what was begun and saying so, while all of the zone is still in memory.
RESERVE_BYTES = 16 << 20

# The kernel ends the process with the highest score first: proc_pid_oom_score_adj(5).
FIRST_TO_GO = "1000"


class MemoryLimit:
    """The limit of this process, which grows with what it reads of a zone, up to ``most`` bytes."""

    def __init__(self, most: int | None = None) -> None:
        physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self.most = int(physical * SHARE) if most is None else most
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard != resource.RLIM_INFINITY:
            self.most = min(self.most, hard - RESERVE_BYTES)
        # The arenas are in a memfd, which is memory, too, but no address space.
        largest, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        largest = self.most if largest == resource.RLIM_INFINITY else min(largest, self.most)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        self._left = self._read = 0
        self._set = -1
        self.current = 0
        _memory_reserve.watch()
        self.begin()
        # Anyone may raise its own; a system without it has no such killer.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO)

    def begin(self) -> None:
        """Another zone begins: what the earlier ones left of address space is not its own."""
        if self._read or self._set < 0:
            self._left = _address_space()
        self._read = 0
        self.allow(0)

    def allow(self, read: int) -> None:
        """Allows what another ``read`` bytes of the zone's files take."""
        self._read += read
        allowed = max(BASE_BYTES, self._left + BASE_BYTES // 2)
        self.current = min(self.most, allowed + BYTES_PER_BYTE * self._read)
        # A step at a time: small files need none.
        if self._set < 0 or self.current > self._set or self._set > self.current + BASE_BYTES:
            self._set = self.current
            resource.setrlimit(resource.RLIMIT_AS, (self.current, self.most + RESERVE_BYTES))
        self.current = self._set

    def use_reserve(self) -> None:
        """Called once memory was short: gives room to say so."""
        _memory_reserve.stop()
        hard = self.most + RESERVE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _address_space() -> int:
    """What this process has mapped, in bytes: proc_pid_statm(5)."""
    with open("/proc/self/statm", "rb", buffering=0) as file:  # noqa: PTH123
        return int(file.read(64).split()[0]) * os.sysconf("SC_PAGE_SIZE")
