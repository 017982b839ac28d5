"""Netlink messages, and the kernel's own words for a refusal: extended acknowledgments.

linux ``Documentation/userspace-api/netlink/intro.rst``. Everything acts in the calling thread's
network namespace.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

# linux/netlink.h and linux/genetlink.h.
NETLINK_ROUTE, NETLINK_GENERIC = 0, 16
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_DUMP = 0x300
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x1, 0x4, 0x100, 0x200
NLMSGERR_ATTR_MSG = 1
NLA_F_NESTED, NLA_TYPE_MASK = 0x8000, 0x3FFF
GENL_ID_CTRL, CTRL_CMD_GETFAMILY = 0x10, 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 1, 2

# What a dump takes at a time.
_DUMP_BYTES = 1 << 17

# How long the kernel may take: it answers while the request is being sent.
ANSWER_SECONDS = 10.0

# struct nlmsghdr: length, type, flags, sequence, port.
_HEAD = struct.Struct("=IHHII")
# struct genlmsghdr: command, version.
_GENERIC = struct.Struct("=BBxx")
# struct nlattr: length with this header, type.
_ATTRIBUTE = struct.Struct("=HH")


class NetlinkError(OSError):
    """A refused request; ``words`` is the kernel's text for it, often empty."""

    def __init__(self, number: int, words: str = "") -> None:
        reason = os.strerror(number)
        super().__init__(number, f"{reason}: {words}" if words else reason)
        self.words = words


def open_socket(protocol: int) -> socket.socket:
    """A socket that asks for the kernel's texts. Raises OSError."""
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    netlink.settimeout(ANSWER_SECONDS)
    for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
        # Linux 4.12; without it there are only numbers.
        with suppress(OSError):
            netlink.setsockopt(SOL_NETLINK, option, 1)
    return netlink


def exchange(netlink: socket.socket, kind: int, body: bytes, flags: int = 0) -> bytes:
    """Sends one request; returns what follows the header of its reply, nothing for an ACK.

    Raises NetlinkError, and OSError if the socket fails.
    """
    head = _HEAD.pack(_HEAD.size + len(body), kind, NLM_F_REQUEST | flags, 0, 0)
    netlink.send(head + body)
    data = netlink.recv(65536)
    _, answer, told, _, _ = _HEAD.unpack_from(data)
    if answer != NLMSG_ERROR:
        return data[_HEAD.size :]
    # struct nlmsgerr: a negative errno, or 0 for an ACK, and the request.
    [number] = struct.unpack_from("=i", data, _HEAD.size)
    if number:
        raise NetlinkError(-number, _words(data, told))
    return b""


def dump(netlink: socket.socket, kind: int, body: bytes) -> Iterator[tuple[int, bytes]]:
    """Sends a request for a list; gives the type and the body of each message of it.

    Raises NetlinkError, and OSError if the socket fails.
    """
    head = _HEAD.pack(_HEAD.size + len(body), kind, NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
    netlink.send(head + body)
    while True:
        data = netlink.recv(_DUMP_BYTES)
        at = 0
        while at + _HEAD.size <= len(data):
            length, what, _, _, _ = _HEAD.unpack_from(data, at)
            found = data[at + _HEAD.size : at + length]
            at += max(_HEAD.size, (length + 3) & ~3)
            if what in (NLMSG_DONE, NLMSG_ERROR):
                number = -struct.unpack_from("=i", found)[0] if len(found) >= 4 else 0
                if number:
                    raise NetlinkError(number)
                return
            yield what, found


def _words(data: bytes, flags: int) -> str:
    """The text after a struct nlmsgerr: nlmsg_err and the request, whole or only its header."""
    if not flags & NLM_F_ACK_TLVS:
        return ""
    [length] = struct.unpack_from("=I", data, _HEAD.size + 4)
    request = _HEAD.size if flags & NLM_F_CAPPED else length + 3 & ~3
    found = dict(attributes(data[_HEAD.size + 4 + request :]))
    return found.get(NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode("ascii", "replace")


def generic(
    netlink: socket.socket, family: int, command: int, body: bytes, flags: int = 0
) -> bytes:
    """A request to a generic netlink family; returns its reply's attributes, as bytes.

    Raises NetlinkError and OSError.
    """
    reply = exchange(netlink, family, _GENERIC.pack(command, 1) + body, flags)
    return reply[_GENERIC.size :]


def family_id(netlink: socket.socket, name: str) -> int | None:
    """The number of a generic netlink family; None when the kernel lacks it."""
    wanted = attribute(CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0")
    try:
        reply = generic(netlink, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, wanted)
    except NetlinkError as error:
        if error.errno != errno.ENOENT:
            raise
        return None
    [number] = struct.unpack("=H", dict(attributes(reply))[CTRL_ATTR_FAMILY_ID])
    return int(number)


def attribute(kind: int, value: bytes) -> bytes:
    """One netlink attribute, padded to a multiple of 4 bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def nested(kind: int, *inner: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(inner))


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        yield kind & NLA_TYPE_MASK, data[offset + _ATTRIBUTE.size : offset + length]
        offset += max(length + 3 & ~3, _ATTRIBUTE.size)
