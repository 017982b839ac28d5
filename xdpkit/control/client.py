"""Asking a running instance: the client's end of the control socket ``@xdpkit/IFACE``.

One connection carries one request line and one reply line of JSON:

    {"verb": "status"}  ->  {"reply": {...}}  or  {"error": "one line", "exit_code": 1}

The socket is abstract: the network namespace scopes it and it is gone with its process. But any
process may bind any abstract name, so the client believes only a server that runs as root or as
the client's own user. Only the standard library is used here: ``xdpkit status`` starts at once.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import struct
import time
from pathlib import Path
from typing import Any, NamedTuple

from xdpkit.errors import ControlError

PREFIX = "xdpkit/"
REQUEST_LIMIT = 1024
# 256 queues with every counter stay below 1 MB.
REPLY_LIMIT = 8 << 20

# A line of /proc/net/unix: number, references, protocol, flags (here: listening, not one end of a
# connection), type, state, inode, name. A name may hold anything, newlines too: nothing is believed
# before the holder's credentials are.
_LISTENER = re.compile(rb"\S+: \S+ \S+ 00010000 \S+ \S+ +\d+ @xdpkit/([^\s/:]{1,15})\n", re.ASCII)


class RequestError(ControlError):
    """The instance refused the request or failed at it; ``exit_code`` says which, as in ``cli``."""

    def __init__(self, reason: str, exit_code: int = 1) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


class Peer(NamedTuple):
    """Who is at the other end (SO_PEERCRED); ``pid`` is 0 for one of another PID namespace."""

    pid: int
    uid: int
    gid: int

    @property
    def trusted(self) -> bool:
        """Root, or the user that this process runs as."""
        return self.uid in (0, os.geteuid())


def address(ifname: str) -> bytes:
    """The abstract name of an interface's control socket, for bind and connect."""
    return b"\0" + PREFIX.encode() + os.fsencode(ifname)


def peer(connection: socket.socket) -> Peer:
    """Credentials of the other end, taken by the kernel when it connected or began to listen."""
    credentials = struct.Struct("iII")
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    return Peer(*credentials.unpack(raw))


def connect(ifname: str, time_limit: float = 2.0) -> socket.socket:
    """A connection to whoever holds the name, not yet known to be trusted.

    A full backlog is tried again until the time limit, which may be 0. Raises OSError.
    """
    deadline = time.monotonic() + time_limit
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(time_limit)
        while True:
            try:
                connection.connect(address(ifname))
                return connection
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.01)
    except OSError:
        connection.close()
        raise


def instances() -> list[str]:
    """The interfaces served in this network namespace by trusted processes.

    A name that another user's process holds is left out, or it could be in the way of every
    request that names no interface. Raises ControlError when /proc cannot be read.
    """
    # The thread's own view: /proc/net follows the process's first thread, which may be elsewhere.
    table = Path("/proc/thread-self/net/unix")
    try:
        with table.open("rb") as lines:
            names = {os.fsdecode(found[1]) for found in map(_LISTENER.match, lines) if found}
    except OSError as error:
        raise ControlError(f"{table}: {error.strerror}: name the interface") from error
    return [name for name in sorted(names) if _is_trusted(name)]


def request(ifname: str | None, verb: str, time_limit: float = 10.0) -> dict[str, Any]:
    """Ask the instance on an interface, or the only one there is, and give its reply.

    Raises ControlError when there is none, several, one of another user, or no good answer within
    the time limit, and RequestError when the instance itself says no.
    """
    if ifname is None:
        ifname = _only_instance()
    try:
        with connect(ifname) as connection:
            server = peer(connection)
            if not server.trusted:
                raise ControlError(
                    f"{ifname}: the control socket belongs to process {server.pid} of user"
                    f" {server.uid}, not to root or you: not asked; if that is xdpkit, use sudo"
                )
            line = _exchange(connection, verb, time_limit)
    except TimeoutError as error:
        raise ControlError(
            f"{ifname}: no answer in {time_limit:g} s: is the process stopped?"
        ) from error
    except BlockingIOError as error:
        raise ControlError(f"{ifname}: too many wait for the instance: try again") from error
    except OSError as error:
        raise _connect_error(ifname, error) from error
    return _reply(ifname, line)


def _only_instance() -> str:
    names = instances()
    if not names:
        raise ControlError(
            "nothing is served in this network namespace: start xdpkit run,"
            " or look in another with ip netns exec"
        )
    if len(names) > 1:
        raise ControlError(f"several interfaces are served, name one: {', '.join(names)}")
    return names[0]


def _is_trusted(ifname: str) -> bool:
    with contextlib.suppress(OSError), connect(ifname, time_limit=0) as connection:
        return peer(connection).trusted
    return False


def _connect_error(ifname: str, error: OSError) -> ControlError:
    if error.errno == errno.ECONNREFUSED:
        served = ", ".join(instances())
        hint = f"served are: {served}" if served else "start xdpkit run, or try ip netns exec"
        return ControlError(f"{ifname}: not served in this network namespace: {hint}")
    return ControlError(f"{ifname}: control socket: {error.strerror or error}")


def _exchange(connection: socket.socket, verb: str, time_limit: float) -> bytes:
    """Send the request; receive up to the first newline, the end, or the limits."""
    deadline = time.monotonic() + time_limit
    connection.settimeout(time_limit)
    connection.sendall(json.dumps({"verb": verb}).encode() + b"\n")
    line = bytearray()
    while not line.endswith(b"\n") and len(line) <= REPLY_LIMIT:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        part = connection.recv(1 << 16)
        if not part:
            break
        line += part
    return bytes(line)


def _reply(ifname: str, line: bytes) -> dict[str, Any]:
    if not line:
        raise ControlError(f"{ifname}: the instance ended without an answer: see its log")
    try:
        answer = json.loads(line)
        if "error" in answer:
            raise RequestError(f"{ifname}: {answer['error']}", int(answer["exit_code"]))
        return dict(answer["reply"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ControlError(
            f"{ifname}: not an answer of xdpkit {_own_version()}: is another version running?"
        ) from error


def _own_version() -> str:
    from xdpkit import __version__

    return __version__
