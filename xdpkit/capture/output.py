"""Where a capture is written: one file, several, or standard output."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from xdpkit.errors import CaptureError

STANDARD_OUTPUT = "-"


class Output:
    """Writes whole blocks; begins each file with ``header``.

    With ``rotate``, a file that has so many bytes is followed by FILE.1, FILE.2 and so on. A file
    that cannot be written on ends with its last whole block. Raises CaptureError, BrokenPipeError.
    """

    def __init__(self, path: str, header: bytes, rotate: int = 0) -> None:
        self.path, self.header, self.rotate = path, header, rotate
        self.files = 0
        self._fd = -1
        self._size = 0
        self._next()

    @property
    def name(self) -> str:
        """The file that is being written."""
        if self.path == STANDARD_OUTPUT:
            return "standard output"
        return self.path if self.files <= 1 else f"{self.path}.{self.files - 1}"

    def write(self, blocks: bytes) -> None:
        is_full = self.rotate and self._size + len(blocks) > self.rotate
        if is_full and self._size > len(self.header):
            self._next()
        self._put(blocks)

    def close(self, trailer: bytes = b"") -> None:
        """The last blocks; what cannot be written of them is left out."""
        with suppress(CaptureError, BrokenPipeError):
            self._put(trailer)
        self._close()

    def _next(self) -> None:
        self._close()
        self.files += 1
        try:
            if self.path == STANDARD_OUTPUT:
                self._fd = os.dup(sys.stdout.fileno())
            else:
                # Clients' questions are nobody else's business.
                self._fd = os.open(
                    self.name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
                )
        except OSError as error:
            raise CaptureError(f"{self.name}: {error.strerror}: name another file") from error
        self._size = 0
        self._put(self.header)

    def _put(self, blocks: bytes) -> None:
        rest = memoryview(blocks)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            self._cut()
            raise CaptureError(
                f"{self.name}: {error.strerror}: it ends with the last whole packet; free space, "
                "or capture less (a filter, --sample, -n)"
            ) from error
        self._size += len(blocks)

    def _cut(self) -> None:
        """Back to the last whole block, where that is possible: not in a pipe."""
        with suppress(OSError):
            os.ftruncate(self._fd, self._size)
            os.lseek(self._fd, self._size, os.SEEK_SET)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def check_path(path: str) -> None:
    """Raises CaptureError for what is a terminal, which binary data would confuse."""
    if path == STANDARD_OUTPUT and sys.stdout.isatty():
        raise CaptureError("-w -: standard output is a terminal: pipe it into tshark -r -")
    if path != STANDARD_OUTPUT and Path(path).is_dir():
        raise CaptureError(f"{path}: a directory: name a file")
