"""Requests at a steady rate from another thread, while something happens to the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from xdpkit._core._loadgen import Generator
from xdpkit.bench import cpu
from xdpkit.bench.beside import beside


@contextmanager
def steady_load(load: Generator, rate: int) -> Iterator[None]:
    """Sends requests at a rate on the first CPU; all replies are in when this ends."""

    def ask(goes_on: Callable[[], bool]) -> None:
        with cpu.pinned(cpu.split()[0]):
            load.run(0.2, rate=rate, window=0)
            while goes_on():
                load.run(0.2, rate=rate, window=0, resume=True)
            load.finish(2.0, quiet=1.0)

    with beside(ask):
        yield
