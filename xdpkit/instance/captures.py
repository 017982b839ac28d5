"""Captures of a running instance: what ``xdpkit dump`` asks for over the control socket.

Each has rings of its own, one for each answering thread. A client gets their descriptors once the
control socket's server has made sure that it is root or our own user. A capture lasts as long as
its connection: when its reader closes that or dies, the threads stop writing, and after a grace
period the memory is freed.
"""

from __future__ import annotations

import json
import socket
from typing import Any

import anyio

from xdpkit._core._capture import (
    SESSIONS,
    TCP_THREAD,
    UDP_THREAD,
    CaptureScratch,
    CaptureSession,
    CaptureSet,
)
from xdpkit.capture.filter import compile_filter
from xdpkit.capture.wishes import Wishes
from xdpkit.control.server import refusal
from xdpkit.errors import BusyError, XdpkitError
from xdpkit.instance.served_addresses import Served
from xdpkit.runtime.stream import send_all

# A client takes a line within milliseconds.
_SEND_SECONDS = 5.0


class Captures:
    """The captures that run. The publisher's snapshots have them."""

    def __init__(self, where: Served) -> None:
        self._where = where
        self._sessions: list[CaptureSession] = []
        self._scratch: dict[int, CaptureScratch] = {}
        self._begun = 0

    def facts(self) -> dict[str, Any]:
        """Its part of ``xdpkit status --json``."""
        running = [{**session.counts()} for session in self._sessions]
        return {"begun": self._begun, "running": running}

    def threads(self) -> list[int]:
        """The numbers of the answering threads."""
        slow_path = self._where.slow_path
        numbers = [queue.number for queue in self._where.dataplane.queues]
        numbers += [UDP_THREAD] if slow_path.udp else []
        return numbers + ([TCP_THREAD] if slow_path.tcp else [])

    async def handle(self, connection: socket.socket, argument: str | None) -> None:
        """Captures for a client until it closes the connection; answers what it cannot do."""
        with connection:
            connection.setblocking(False)
            try:
                session = self._open(Wishes.from_text(argument or "{}"))
            except (XdpkitError, OSError, MemoryError) as error:
                await _send(connection, _refusal(error))
                return
            try:
                await self._serve(connection, session)
            finally:
                self._close(session)
            await self._where.publisher.settle()
            await _send(connection, {"reply": {**session.counts()}})

    def _open(self, wishes: Wishes) -> CaptureSession:
        if len(self._sessions) == SESSIONS:
            raise BusyError(f"{SESSIONS} captures are running: end one of them")
        wanted, threads = compile_filter(wishes.filter), self.threads()
        wishes.check_memory(len(threads))
        session = CaptureSession(wanted, wishes.sample, threads, wishes.buffer_mib << 20)
        for thread in threads:
            if thread not in self._scratch:
                self._scratch[thread] = CaptureScratch()
        self._begun += 1
        return session

    async def _serve(self, connection: socket.socket, session: CaptureSession) -> None:
        """From the first record to the client's end."""
        self._sessions.append(session)
        self._publish()
        facts = {
            "interface": self._where.dataplane.interface.name,
            "threads": session.threads,
            "ring_bytes": session.ring_bytes,
        }
        line = json.dumps({"reply": facts}).encode() + b"\n"
        try:
            socket.send_fds(connection, [line], [session.records_fd, session.tails_fd])
            while True:
                await anyio.wait_readable(connection)
                if not connection.recv(256):
                    return
        except OSError:
            return

    def _close(self, session: CaptureSession) -> None:
        if session in self._sessions:
            self._sessions.remove(session)
            self._publish()

    def _publish(self) -> None:
        captures = CaptureSet(self._sessions, self._scratch) if self._sessions else None
        self._where.publisher.change(capture=captures)


def _refusal(error: Exception) -> dict[str, Any]:
    if isinstance(error, XdpkitError):
        return refusal(*error.lines(), exit_code=error.exit_code)
    reason = error.strerror if isinstance(error, OSError) else "out of memory"
    return refusal(f"no memory for the capture ({reason}): take a smaller --buffer")


async def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    """A client that has gone is no error."""
    with anyio.move_on_after(_SEND_SECONDS):
        await send_all(connection, json.dumps(message).encode() + b"\n")
