"""``xdpkit dump``: asks for a capture, and writes it until it is enough."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from xdpkit.capture import pcapng, text
from xdpkit.capture.client import Capture
from xdpkit.capture.filter import compile_filter
from xdpkit.capture.output import STANDARD_OUTPUT, Output, check_path
from xdpkit.capture.wishes import Wishes
from xdpkit.errors import UsageError

# The rings are looked at again after this long, less while there is much: at a million packets a
# second the default buffer holds 16 ms of them. Each look costs CPU that the instance may need.
_LEAST_SECONDS, _MOST_SECONDS = 0.002, 0.016
_MUCH = 256

# About so many bytes of blocks, or so many lines, at a time.
_BLOCKS = 1 << 20
_LINES = 256

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"(\d{1,12})([KMG]?)", re.ASCII)

# The rotated file's header and one packet must fit.
_LEAST_ROTATED = 1 << 16

Take = Callable[[int], int]
"""Writes up to so many packets; returns how many there were."""


def main(options: Namespace) -> int:
    """Captures until the count, a signal, or the instance's end. Raises XdpkitError."""
    wanted, rotate = checked(options)
    with Capture(options.interface, wanted) as capture, _until_signal() as stopped:
        if options.file is None:
            captured = _run(capture, _lines(capture), options.count, stopped)
        else:
            output = Output(options.file, pcapng.header(capture.interfaces()), rotate)
            try:
                captured = _run(capture, _blocks(capture, output), options.count, stopped)
            finally:
                output.close(_statistics(capture))
        facts = _facts(capture, captured)
    if options.json:
        print(json.dumps(facts, indent=2))
    elif options.file is not None:
        print(_summary(facts), file=sys.stderr)
    return 0


def checked(options: Namespace) -> tuple[Wishes, int]:
    """What is asked of the instance, and the size of a file. Raises UsageError, CaptureError."""
    wanted = Wishes(" ".join(options.filter), options.sample, options.buffer)
    compile_filter(wanted.filter)
    if options.count is not None and options.count < 1:
        raise UsageError(f"-n {options.count}: at least 1")
    if options.file is not None:
        check_path(options.file)
    if options.json and options.file in (None, STANDARD_OUTPUT):
        raise UsageError("--json prints counts at the end: write the packets to a file, -w FILE")
    if options.rotate is None:
        return wanted, 0
    if options.file in (None, STANDARD_OUTPUT):
        raise UsageError("--rotate is for files: name one, -w FILE")
    return wanted, _size(options.rotate)


def _size(given: str) -> int:
    found = _SIZE.fullmatch(given.upper())
    size = int(found[1]) * _UNITS[found[2]] if found else 0
    if size < _LEAST_ROTATED:
        raise UsageError(f"--rotate {given}: bytes, such as 100M, at least 64K")
    return size


def _run(capture: Capture, take: Take, count: int | None, stopped: list[int]) -> int:
    """Takes packets until the count is reached or the capture ends; returns how many."""
    left = sys.maxsize if count is None else count
    taken, pause = 0, _LEAST_SECONDS
    while not stopped and taken < left:
        found = take(left - taken)
        taken += found
        pause = _LEAST_SECONDS if found >= _MUCH else min(2 * pause, _MOST_SECONDS)
        if found < _MUCH and not capture.wait(pause):
            break
    # What the threads wrote until they noticed the end is part of it.
    capture.finish()
    while taken < left and (found := take(left - taken)):
        taken += found
    return taken


def _blocks(capture: Capture, output: Output) -> Take:
    # Files of a size that was asked for are made of several pieces.
    size = min(_BLOCKS, output.rotate // 8) if output.rotate else _BLOCKS

    def take(most: int) -> int:
        blocks, found = capture.reader.blocks_up_to(size, most)
        if blocks:
            output.write(blocks)
        return found

    return take


def _lines(capture: Capture) -> Take:
    def take(most: int) -> int:
        found = capture.reader.take(min(most, _LINES))
        if found:
            print(*map(text.line, found), sep="\n", flush=True)
        return len(found)

    return take


def _statistics(capture: Capture) -> bytes:
    now = time.time_ns()
    counts = enumerate(capture.counts())
    return b"".join(pcapng.statistics(number, each, now) for number, each in counts)


def _facts(capture: Capture, captured: int) -> dict[str, Any]:
    counts = capture.counts()
    total = {key: sum(each[key] for each in counts) for key in counts[0]}
    return {"interface": capture.ifname, "captured": captured, **total}


def _summary(facts: dict[str, Any]) -> str:
    lost = f"{facts['lost']:,} lost"
    if facts["lost"]:
        lost += " (this program was too slow: a filter, --sample or a larger --buffer helps)"
    return (
        f"xdpkit: {facts['captured']:,} requests captured, {lost}, {facts['matched']:,} matched of"
        f" {facts['seen']:,} seen"
    )


@contextmanager
def _until_signal() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM, which end a capture and not the program."""
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {
        number: signal.signal(number, lambda given, _: received.append(given)) for number in numbers
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
