"""Standard error as a socket, a pipe of which no own description can be had, and a terminal."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator

import pytest

from xdpkit.runtime import standard_error
from xdpkit.runtime.standard_error import StandardError

Ends = tuple[int, int]


def sockets() -> Ends:
    """As systemd's: a stream to the journal."""
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


def pipe() -> Ends:
    reader, writer = os.pipe()
    return writer, reader


@pytest.fixture(params=[sockets, pipe])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    make: Callable[[], Ends] = request.param
    ours, theirs = make()
    os.set_blocking(theirs, False)
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def read(descriptor: int) -> bytes:
    received = b""
    while True:
        try:
            part = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return received
        received += part
        if not part:
            return received


def check(stream: StandardError, reader: int) -> None:
    """Fills it without a reader, reads, and fills it again."""
    for _ in range(2):
        wrote = 0
        already = stream.lost
        while stream.lost < already + 3:
            stream.write(f"line {wrote:6} {'x' * 1000}\n")
            wrote += 1
        text = read(reader)
        while b"were lost" not in text:
            stream.pump()
            text += read(reader)
        lines = text.decode().splitlines()
        said = [line for line in lines if line.startswith("xdpkit: 3 lines of this log were lost")]
        whole = [line for line in lines if line.startswith("line ") and len(line) == 1012]
        assert len(said) == 1 and len(whole) == len(lines) - 1 == wrote - 3


def test_lines_are_whole_or_counted(ends: Ends) -> None:
    writer, reader = ends
    with StandardError(writer) as stream:
        check(stream, reader)
    assert os.get_blocking(writer)


def test_a_pipe_that_cannot_be_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    writer, reader = pipe()
    os.set_blocking(reader, False)
    with monkeypatch.context() as patch:
        patch.setattr(standard_error.os, "open", refuse)
        stream = StandardError(writer)
    check(stream, reader)
    os.close(writer)
    os.close(reader)


def test_what_is_not_a_line_waits_for_its_end(ends: Ends) -> None:
    writer, reader = ends
    stream = StandardError(writer)
    stream.write("half a ")
    assert read(reader) == b""
    stream.write("line\nand")
    assert read(reader) == b"half a line\n"
    stream.flush()
    assert read(reader) == b"and"
    stream.write("\udcff\n")
    assert read(reader) == b"\\udcff\n"
    stream.close()


def test_a_reader_that_is_gone() -> None:
    writer, reader = pipe()
    os.close(reader)
    stream = StandardError(writer)
    stream.write("a\nb\n")
    assert stream.lost == 2
    stream.close()
    os.close(writer)


def test_a_closed_descriptor() -> None:
    """What has its number later gets nothing."""
    reader, writer = os.pipe()
    os.close(writer)
    stream = StandardError(writer)
    other_reader, other = os.pipe()
    assert writer in (other_reader, other)
    os.set_blocking(other_reader, False)
    stream.write("a\n")
    assert read(other_reader) == b""
    for fd in (reader, other_reader, other):
        os.close(fd)
