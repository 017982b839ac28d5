"""The reader's end of a capture: asks the instance for it, and has the rings."""

from __future__ import annotations

import json
import os
import select
import socket
from typing import Any, Self, cast

from xdpkit._core._capture import TCP_THREAD, UDP_THREAD, CaptureReader
from xdpkit.capture import wishes
from xdpkit.capture.pcapng import Interface
from xdpkit.capture.wishes import Wishes
from xdpkit.control import client as control
from xdpkit.errors import ControlError

_ANSWER_SECONDS = 10.0
_LINE_LIMIT = 1 << 16
# What an instance has at the most: one for each queue, UDP and TCP.
_MOST_THREADS = TCP_THREAD + 1


class Capture:
    """A capture that runs; a context manager, whose end is the capture's.

    ``ifname`` None is the only instance. Raises ControlError.
    """

    def __init__(self, ifname: str | None, wanted: Wishes) -> None:
        name = control.only_instance() if ifname is None else ifname
        self._received = bytearray()
        with control.explained(name, _ANSWER_SECONDS):
            self._connection = control.connect_instance(name)
        descriptors: list[int] = []
        try:
            facts = self._ask(name, wanted, descriptors)
            self.ifname: str = str(facts["interface"])
            self.threads = _threads(facts["threads"])
            names = [wishes.thread_name(thread) for thread in self.threads]
            records, tails = descriptors
            descriptors = []
            self.reader = CaptureReader(records, tails, int(facts["ring_bytes"]), names)
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            self._connection.close()
            raise ControlError(
                f"{name}: another version of xdpkit is running: restart it"
            ) from error
        except BaseException:
            self._connection.close()
            raise
        finally:
            for fd in descriptors:
                os.close(fd)

    def _ask(self, name: str, wanted: Wishes, descriptors: list[int]) -> dict[str, Any]:
        request = {"verb": wishes.VERB, "argument": wanted.to_text()}
        self._connection.settimeout(_ANSWER_SECONDS)
        with control.explained(name, _ANSWER_SECONDS):
            self._connection.sendall(json.dumps(request).encode() + b"\n")
            data, received, _, _ = socket.recv_fds(
                self._connection, _LINE_LIMIT, 2, socket.MSG_CMSG_CLOEXEC
            )
            descriptors += received
            self._received += data
            return control.reply_of(name, self._line())

    def _line(self) -> bytes:
        """The next line, or what there is of it at the end of the connection."""
        while b"\n" not in self._received and len(self._received) < _LINE_LIMIT:
            part = self._connection.recv(_LINE_LIMIT)
            if not part:
                break
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        return bytes(line)

    def wait(self, seconds: float) -> bool:
        """Sleeps for so long; returns at once, and False, if the instance has ended."""
        ended, _, _ = select.select([self._connection], [], [], seconds)
        return not ended

    def finish(self) -> None:
        """Ends the capture: when it returns, the last record is in the rings."""
        try:
            self._connection.shutdown(socket.SHUT_WR)
            self._line()
        except OSError:
            # The instance has ended: it writes nothing any longer either.
            return

    def interfaces(self) -> list[Interface]:
        """The interfaces of a file, one for each thread."""
        return [wishes.interface(self.ifname, thread) for thread in self.threads]

    def counts(self) -> list[dict[str, int]]:
        """What each thread has counted."""
        rings = range(len(self.threads))
        return [dict[str, int](cast(Any, self.reader.counts(ring))) for ring in rings]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _threads(given: Any) -> list[int]:
    """What the instance says of its threads. Raises ValueError."""
    threads = [int(thread) for thread in given]
    known = all(0 <= thread <= max(UDP_THREAD, TCP_THREAD) for thread in threads)
    if not known or not 0 < len(threads) <= _MOST_THREADS:
        raise ValueError
    return threads
