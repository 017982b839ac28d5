"""Servers, other users and namespaces for the tests of the control socket."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from xdpkit.control.client import address
from xdpkit.control.server import ControlServer, Handler

NOBODY = 65534
CLONE_NEWNET = 0x40000000

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="root: for a namespace, another user")


def isolated(test: Callable[..., None]) -> Callable[..., None]:
    """Runs a test, with all that it starts, in its own network namespace, in a thread."""

    def inside(*args: Any, **named: Any) -> None:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        test(*args, **named)

    @functools.wraps(test)
    def outside(*args: Any, **named: Any) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(inside, *args, **named).result()

    return needs_root(outside)


async def answer_status() -> dict[str, Any]:
    return {"interface": "here"}


async def answer_reload() -> dict[str, Any]:
    return {"zones": {}}


@contextlib.contextmanager
def serving(ifname: str, **handlers: Handler) -> Iterator[ControlServer]:
    """A server in its own thread, by default with status and reload."""
    handlers = {"status": answer_status, "reload": answer_reload} | handlers
    with ControlServer(ifname, handlers) as server, start_blocking_portal() as portal:
        running = portal.start_task_soon(server.serve)
        try:
            yield server
        finally:
            running.cancel()
            with contextlib.suppress(CancelledError):
                running.result(timeout=5)


@contextlib.contextmanager
def stranger(script: str, user: int = NOBODY) -> Iterator[subprocess.Popen[str]]:
    """A script run by another user; it must print a line when it is ready."""
    # Not sys.executable: the user nobody may have no access to the virtual environment.
    command = ["/usr/bin/python3", "-I", "-c", f"import json, socket, sys, time\n{script}"]
    process = subprocess.Popen(
        command, user=user, group=user, cwd="/", text=True, stdout=subprocess.PIPE
    )
    with process:
        try:
            assert process.stdout is not None
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@contextlib.contextmanager
def connected(ifname: str) -> Iterator[socket.socket]:
    """A plain connection to a server."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(address(ifname))
        yield connection


def read_to_end(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1 << 16):
            received += part
    return received
