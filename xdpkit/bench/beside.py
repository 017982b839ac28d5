"""Work of another thread, while something else is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def beside(work: Callable[[Callable[[], bool]], None]) -> Iterator[None]:
    """Runs ``work`` during a block, whose end waits for it and raises what it has raised.

    It is given a function that says whether the block goes on.
    """
    going = True
    with ThreadPoolExecutor(1) as thread:
        working = thread.submit(work, lambda: going)
        try:
            yield
        finally:
            going = False
            working.result()
