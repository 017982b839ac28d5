"""Who is at the other end of a control socket, and whether that one is root.

SO_PEERCRED gives a user ID in the reader's user namespace, so that root of a namespace with a
mapping of its own is the user that it is mapped to. But a process may have user ID 0 and be nobody:
in a container whose capabilities were dropped, or in a user namespace made by root that maps 0 to
0. So root is who has CAP_NET_ADMIN in our user namespace, as /proc says; a pidfd makes sure that it
speaks of the process that connected. Where it cannot be seen (in another PID namespace, or with
hidepid), it is not root.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from pathlib import Path
from typing import NamedTuple

# asm-generic/socket.h, Linux 6.5.
SO_PEERPIDFD = 77
# linux/capability.h.
_CAP_NET_ADMIN = 12

# What tells user namespaces apart for one who may not look into the process: user_namespaces(7).
_MAPS = ("uid_map", "gid_map", "projid_map")


class Peer(NamedTuple):
    """The process at the other end (SO_PEERCRED); ``pid`` is 0 if in another PID namespace."""

    pid: int
    uid: int
    gid: int


def peer(connection: socket.socket) -> Peer:
    """The other end's credentials, recorded when it connected or began to listen."""
    credentials = struct.Struct("iII")
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    return Peer(*credentials.unpack(raw))


def is_trusted(connection: socket.socket) -> bool:
    """Whether the other end is root, with CAP_NET_ADMIN, or our own user where that is not root."""
    who = peer(connection)
    if who.uid != 0:
        return who.uid == os.geteuid()
    return who.pid == os.getpid() or _is_root(connection, who.pid)


def _is_root(connection: socket.socket, pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        pidfd = peer_pidfd(connection, pid)
    except OSError:
        return False
    try:
        has_right = _may_administer(Path(f"/proc/{pid}"))
        # Readable once it has exited: then the answer may be another process's. Not by select(2),
        # which knows the first 1024 descriptors only: there is one for each address.
        waiting = select.poll()
        waiting.register(pidfd, select.POLLIN)
        return has_right and not waiting.poll(0)
    except (OSError, ValueError, LookupError):
        return False
    finally:
        os.close(pidfd)


def peer_pidfd(connection: socket.socket, pid: int) -> int:
    """A descriptor of the process, which the caller owns; before Linux 6.5, of who has its PID.

    Raises OSError.
    """
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, 4)
    except OSError as error:
        # Any other error says that it is gone: another process may have its PID.
        if error.errno != errno.ENOPROTOOPT:
            raise
        return os.pidfd_open(pid)
    [pidfd] = struct.unpack("=i", raw)
    return int(pidfd)


def _may_administer(process: Path) -> bool:
    """Whether it has user ID 0 and CAP_NET_ADMIN in our user namespace. Raises OSError."""
    for name in _MAPS:
        if (process / name).read_bytes() != Path("/proc/self", name).read_bytes():
            return False
    facts = dict(
        line.split(":", 1)
        for line in (process / "status").read_text("utf-8", "replace").splitlines()
        if line.startswith(("Uid:", "CapEff:"))
    )
    has_capability = int(facts["CapEff"], 16) >> _CAP_NET_ADMIN & 1
    return bool(has_capability) and facts["Uid"].split()[1] == "0"
