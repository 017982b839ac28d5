"""Follows an interface: its addresses, which no request may come from, its state and its name."""

from __future__ import annotations

import errno
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import anyio
from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from xdpkit.config import ServedAddress
from xdpkit.config.address import Address
from xdpkit.errors import NicError
from xdpkit.nic.os.interface import Interface, InterfaceAddress, addresses, from_link
from xdpkit.nic.os.netlink import attributes

log = logging.getLogger("xdpkit")

# linux/rtnetlink.h: an interface has left this namespace; linux/if_link.h: for which other one, and
# its index there.
RTM_DELLINK = 17
IFLA_NEW_NETNSID, IFLA_NEW_IFINDEX = 45, 49
# struct nlmsghdr, then struct ifinfomsg: family, type, index, flags, change mask.
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")

# linux/rtnetlink.h: multicast groups for changes to addresses and links.
RTMGRP_IPV4_IFADDR = 0x10
RTMGRP_IPV6_IFADDR = 0x100
RTMGRP_LINK = 1

# What the kernel waits for while it moves an interface takes milliseconds, or tenths of a second.
_LEAVING_SECONDS = 2.0


class AddressWatch:
    """The interface's current addresses; ``changes`` yields whenever they have changed.

    A notification only wakes us up: everything is read again, so that a lost one does no harm. A
    link that goes down or comes up is logged, and has no other effect. Another name of the
    interface is logged, too, and passed to ``renamed``; ``moved_to`` is its index in the network
    namespace to which it was moved, or 0.
    """

    def __init__(
        self, ipr: AsyncIPRoute, interface: Interface, configured: tuple[ServedAddress, ...]
    ) -> None:
        self._ipr = ipr
        self._interface = interface
        self.configured = configured
        """Addresses to serve instead of all; a reload replaces them."""
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
        self.renamed: Callable[[Interface], None] = lambda _: None
        self.moved_to = 0
        self._has_left = False
        self._now: list[InterfaceAddress] = []
        self.up = True
        """Whether requests can arrive: the link is up, and has a carrier."""

    async def read(self) -> bool:
        """Reads the addresses; returns whether they have changed. Must be called first."""
        before, self._now = self._now, await addresses(self._ipr, self._interface.index)
        return self._now != before

    def served(self) -> list[ServedAddress]:
        """The configured addresses, or all of the interface's."""
        return self.served_with(self.configured)

    def served_with(self, configured: tuple[ServedAddress, ...]) -> list[ServedAddress]:
        """What ``served`` would return with this configuration."""
        return list(configured) or [ServedAddress(entry.address) for entry in self._now]

    def reserved(self) -> list[Address]:
        """Our own addresses, the interface's and the configured ones, and the broadcast ones."""
        return self.reserved_with(self.configured)

    def reserved_with(self, configured: tuple[ServedAddress, ...]) -> list[Address]:
        """What ``reserved`` would return with this configuration."""
        own: set[Address] = {entry.address for entry in self._now}
        own |= {served.address for served in configured}
        own |= {entry.broadcast for entry in self._now if entry.broadcast is not None}
        return sorted(own, key=lambda address: (address.version, int(address)))

    async def changes(self) -> AsyncIterator[None]:
        """Yields after each change; ends only when cancelled.

        Raises NicError when the interface is gone: one recreated under its name is a different one.
        """
        # It may have got another name during the start.
        with suppress(NetlinkError):
            async for link in await self._ipr.get_links(self._interface.index):
                self._follow_name(from_link(link))
                self._log_link_state(link)
        while True:
            await anyio.wait_readable(self._socket)
            self._drain()
            try:
                async for link in await self._ipr.get_links(self._interface.index):
                    self._follow_name(from_link(link))
                    self._log_link_state(link)
                changed = await self.read()
            except NetlinkError as error:
                await self._see_it_leave()
                if self.moved_to:
                    raise NicError(
                        f"{self._interface.name} was moved to another network namespace: start "
                        "xdpkit there"
                    ) from error
                raise NicError(
                    f"{self._interface.name} is gone: restart xdpkit once it is back"
                ) from error
            if changed:
                yield

    async def _see_it_leave(self) -> None:
        """Waits a moment for the notification, which comes after the fact, and says where to."""
        with anyio.move_on_after(_LEAVING_SECONDS):
            while not self._has_left:
                await anyio.wait_readable(self._socket)
                self._drain()

    def _follow_name(self, now: Interface) -> None:
        if now.name != self._interface.name:
            before, self._interface = self._interface.name, now
            log.info("%s is now called %s", before, now.name)
            self.renamed(now)

    def _log_link_state(self, link: Any) -> None:
        up = from_link(link).up and link.get_attr("IFLA_CARRIER") != 0
        if up != self.up:
            what = "up again" if up else "down: no requests can arrive on it"
            log.warning("%s is %s", self._interface.name, what)
        self.up = up

    def _drain(self) -> None:
        while True:
            try:
                self._note_move(self._socket.recv(65536))
            except BlockingIOError:
                return
            except OSError as error:
                # The kernel dropped notifications: the full read that follows makes up for them.
                if error.errno != errno.ENOBUFS:
                    raise

    def _note_move(self, notification: bytes) -> None:
        """Whether it says that our interface goes to another namespace, and as which one."""
        if len(notification) < _HEADER.size + _LINK.size:
            return
        length, kind, *_ = _HEADER.unpack_from(notification)
        index = _LINK.unpack_from(notification, _HEADER.size)[2]
        if kind == RTM_DELLINK and index == self._interface.index:
            facts = dict(attributes(notification[_HEADER.size + _LINK.size : length]))
            self._has_left = True
            if IFLA_NEW_NETNSID in facts:
                [self.moved_to] = struct.unpack(
                    "=i", facts.get(IFLA_NEW_IFINDEX, struct.pack("=i", index))
                )

    def close(self) -> None:
        """Closes the netlink socket."""
        self._socket.close()
