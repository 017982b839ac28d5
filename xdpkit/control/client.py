"""The client's end of the control socket ``@xdpkit/IFACE``: requests to a running instance.

One connection carries one request line and one reply line of JSON:

    {"verb": "status"}  ->  {"reply": {...}}    {"verb": "reload-zone", "argument": "example.com"}
                        or  {"error": "the first", "errors": ["each"], "exit_code": 1}

The socket is abstract: its name is scoped to the network namespace and disappears with its process.
But any process may bind any abstract name, so the client trusts only a server that runs as root or
as its own user or, if it is root, as the user who holds the interface's lock (``lock.py``). An
instance that finds its name taken listens at ``@xdpkit/IFACE/ANYTHING``, where the client finds it,
since no interface's name has a slash. Only the standard library is used here: ``xdpkit status``
starts quickly.
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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xdpkit.control.lock import Holder, holder, served
from xdpkit.control.trust import is_trusted, peer
from xdpkit.errors import ControlError

PREFIX = "xdpkit/"
REQUEST_LIMIT = 1024
# 256 queues with all counters take less than 1 MB, 100,000 zones 6 MB, with long names 30 MB.
REPLY_LIMIT = 64 << 20

# An instance accepts some thousand connections a second. Whoever waits to be among them waits in a
# queue of the kernel's, with all others who do.
_CONNECT_SECONDS = 5.0

# For all listeners together at names that an instance may have instead of its own.
_SEARCH_SECONDS = 10.0

# A line of /proc/net/unix: number, references, protocol, flags (here: listening, not one end of a
# connection), type, state, inode, name. A name may contain anything, even newlines: it is not
# trusted until the holder's credentials have been checked.
_LISTENER = re.compile(
    rb"\S+: \S+ \S+ 00010000 \S+ \S+ +\d+ @xdpkit/([^\s/:]{1,15})(?:/(\w{1,16}))?\n", re.ASCII
)


_SPARE = re.compile(r"\w{1,16}", re.ASCII)


class RequestError(ControlError):
    """The instance rejected the request or failed; ``exit_code`` says which, as in ``cli``."""

    def __init__(self, *reasons: str, exit_code: int = 1) -> None:
        super().__init__("\n".join(reasons))
        self.errors = tuple(RequestError(reason) for reason in reasons[1:] and reasons)
        self.exit_code = exit_code


def address(ifname: str, spare: str = "") -> bytes:
    """The abstract name of an interface's control socket, for bind and connect."""
    return b"\0" + PREFIX.encode() + os.fsencode(f"{ifname}/{spare}" if spare else ifname)


def connect(ifname: str, time_limit: float = _CONNECT_SECONDS, spare: str = "") -> socket.socket:
    """A connection to the process that holds the name, which may not be trusted.

    While its backlog is full, waits until the time limit, which may be 0. Raises OSError.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if time_limit:
            # Not by trying again: others, who wait in connect(2), would always be faster.
            limit = struct.pack("@ll", int(time_limit), int(time_limit % 1 * 1e6))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        else:
            connection.setblocking(False)
        connection.connect(address(ifname, spare))
        connection.settimeout(time_limit)
    except OSError:
        connection.close()
        raise
    return connection


def is_instance(connection: socket.socket, ifname: str, user: int | None = None) -> bool:
    """Whether the other end may be believed to be the instance that serves an interface.

    ``user`` is who holds its lock, where that is known already.
    """
    if is_trusted(connection):
        return True
    if user is None:
        found = holder(ifname)
        user = found.user if found else None
    return os.geteuid() == 0 and user == peer(connection).uid


def connect_instance(ifname: str, known: Holder | None = None) -> socket.socket:
    """A connection to the instance that serves an interface, under whichever name it listens.

    ``known`` is who holds its lock, where somebody has looked already. Raises OSError, and
    ControlError for one not to be believed.
    """
    known = known or holder(ifname)
    user = known.user if known else None
    if known and _SPARE.fullmatch(known.spare):
        # Others may make any number of names for a search, and keep all of them busy.
        with contextlib.suppress(OSError):
            connection = connect(ifname, spare=known.spare)
            if is_instance(connection, ifname, user):
                return connection
            connection.close()
    failed: Exception | None = None
    try:
        connection = connect(ifname)
        if is_instance(connection, ifname, user):
            return connection
        failed = _stranger(ifname, connection)
        connection.close()
    except OSError as error:
        failed = error
    spares = [spare for name, spare in _listeners() if name == ifname and spare]
    # Those with a full backlog once more: one of them may be the instance's.
    deadline = time.monotonic() + _SEARCH_SECONDS
    for limit in (0, _CONNECT_SECONDS):
        for spare in spares:
            if time.monotonic() > deadline:
                break
            with contextlib.suppress(OSError):
                connection = connect(ifname, limit, spare)
                if is_instance(connection, ifname, user):
                    return connection
                connection.close()
    raise failed


def _stranger(ifname: str, connection: socket.socket) -> ControlError:
    who = peer(connection)
    return ControlError(
        f"{ifname}: the control socket belongs to process {who.pid} of user {who.uid}, not to root "
        f"or you: not queried; if that is xdpkit, use sudo"
    )


def instances() -> list[str]:
    """The interfaces served in this network namespace by trusted processes.

    A name held by another user's process is ignored; otherwise, it could block every request that
    names no interface. Raises ControlError when /proc cannot be read.
    """
    # Who may look at the locks need not ask: strangers may keep a listener busy, and make names
    # without end.
    if locked := served():
        return sorted(locked)
    listeners = _listeners()
    found: set[str] = set()
    deadline = time.monotonic() + _SEARCH_SECONDS
    for limit in (0, _CONNECT_SECONDS):
        for name, spare in listeners:
            if name not in found and time.monotonic() < deadline and _is_served(name, spare, limit):
                found.add(name)
        if found:
            break
    return sorted(found)


def _listeners() -> list[tuple[str, str]]:
    """Names that processes listen at: an interface, and what follows it; nobody is trusted yet."""
    # The thread's own namespace: /proc/net shows that of the process's first thread.
    table = Path("/proc/thread-self/net/unix")
    try:
        with table.open("rb") as lines:
            found = {found.groups(b"") for found in map(_LISTENER.match, lines) if found}
    except OSError as error:
        raise ControlError(f"{table}: {error.strerror}: name the interface") from error
    return sorted((os.fsdecode(name), os.fsdecode(spare)) for name, spare in found)


def request(
    ifname: str | None, verb: str, time_limit: float = 10.0, argument: str | None = None
) -> dict[str, Any]:
    """Sends a request to the instance on an interface, or to the only one; returns the reply.

    ``argument`` is for a verb that takes one.
    Raises ControlError if there is none, several, one of another user, or no valid reply within
    the time limit, and RequestError if the instance returns an error.
    """
    if ifname is None:
        ifname = only_instance()
    with explained(ifname, time_limit), connect_instance(ifname) as connection:
        line = _exchange(connection, verb, argument, time_limit)
    return reply_of(ifname, line)


@contextlib.contextmanager
def explained(ifname: str, time_limit: float) -> Iterator[None]:
    """Raises ControlError, with what to do, in place of OSError."""
    try:
        yield
    except TimeoutError as error:
        raise ControlError(
            f"{ifname}: no answer in {time_limit:g} s: is the process stopped?"
        ) from error
    except BlockingIOError as error:
        raise ControlError(
            f"{ifname}: too many clients are waiting for the instance: try again"
        ) from error
    except OSError as error:
        raise _connect_error(ifname, error) from error


def only_instance() -> str:
    """The interface that is served here. Raises ControlError for none, and for several."""
    names = instances()
    if not names:
        raise ControlError(
            "nothing is served in this network namespace: start xdpkit run,"
            " or look in another with ip netns exec"
        )
    if len(names) > 1:
        raise ControlError(f"several interfaces are served, name one: {', '.join(names)}")
    return names[0]


def _is_served(ifname: str, spare: str, time_limit: float) -> bool:
    with contextlib.suppress(OSError), connect(ifname, time_limit, spare) as connection:
        return is_instance(connection, ifname)
    return False


def _connect_error(ifname: str, error: OSError) -> ControlError:
    if error.errno == errno.ECONNREFUSED:
        others = ", ".join(instances())
        hint = f"served here: {others}" if others else "start xdpkit run, or try ip netns exec"
        return ControlError(f"{ifname}: not served in this network namespace: {hint}")
    return ControlError(f"{ifname}: control socket: {error.strerror or error}")


def _exchange(
    connection: socket.socket, verb: str, argument: str | None, time_limit: float
) -> bytes:
    """Sends the request; receives up to a newline, the end of the connection, or a limit."""
    deadline = time.monotonic() + time_limit
    connection.settimeout(time_limit)
    asked = {"verb": verb} if argument is None else {"verb": verb, "argument": argument}
    connection.sendall(json.dumps(asked).encode() + b"\n")
    line = bytearray()
    while not line.endswith(b"\n") and len(line) <= REPLY_LIMIT:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        connection.settimeout(remaining)
        part = connection.recv(1 << 16)
        if not part:
            break
        line += part
    return bytes(line)


def reply_of(ifname: str, line: bytes) -> dict[str, Any]:
    """What a line of an instance holds. Raises ControlError, RequestError."""
    if not line:
        raise ControlError(f"{ifname}: the instance ended without an answer: see its log")
    try:
        answer = json.loads(line)
        if "error" in answer:
            reasons = [
                f"{ifname}: {reason}" for reason in answer.get("errors") or [answer["error"]]
            ]
            raise RequestError(*reasons, exit_code=int(answer["exit_code"]))
        return dict(answer["reply"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ControlError(
            f"{ifname}: not a reply of xdpkit {_our_version()}: is another version running?"
        ) from error


def _our_version() -> str:
    from xdpkit import __version__

    return __version__
