"""Sets up the load generator on an interface: catch program, sockets, request headers.

For interfaces of a lab: everything is sent to the given MAC address.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import Self

from xdpkit._core import _bpf
from xdpkit._core._loadgen import Generator
from xdpkit._core._xsk import XskSocket
from xdpkit.bpf import link, loader
from xdpkit.config.address import Address
from xdpkit.nic.os.interface import Interface
from xdpkit.runtime.closing import Closing

# In IANA's dynamic range (RFC 6335), above Linux's default ephemeral ports, 32768 to 60999.
FIRST_PORT, PORTS = 61000, 1000

ETHERTYPE = {4: 0x0800, 6: 0x86DD}
VLAN = 0x8100
UDP = 17


class Load(Closing):
    """The catch program on ``interface`` and an AF_XDP socket on each of ``queues``.

    With ``stamps`` the program adds a receive stamp to each reply, for the interleaved mode. A
    context manager; closing detaches. Raises BpfError, AttachError, or XskError.
    """

    def __init__(self, interface: Interface, queues: Sequence[int], stamps: bool = False) -> None:
        self._interface = interface
        self._queues = queues
        self._stamps = stamps
        self._program: loader.Program | None = None
        self._link_fd = -1
        self.sockets: dict[int, XskSocket] = {}

    def __enter__(self) -> Self:
        try:
            self._program = program = loader.load("catch")
            ports = struct.pack("=HHI", FIRST_PORT, FIRST_PORT + PORTS - 1, self._stamps)
            _bpf.map_update(program.maps["ports"], struct.pack("=I", 0), ports)
            self._link_fd, _, _ = link.attach(program, self._interface, "auto")
            for queue in self._queues:
                self.sockets[queue] = socket = XskSocket(self._interface.index, queue)
                slot, fd = struct.pack("=I", queue), struct.pack("=I", socket.fileno())
                _bpf.map_update(program.maps["xsks"], slot, fd)
        except BaseException:
            self.close()
            raise
        return self

    def generator(
        self,
        queue: int,
        service: str,
        header: tuple[bytes, int],
        queries: Sequence[bytes] = (),
        echo_bytes: int = 48,
        ports: int = PORTS,
        addresses: int = 1,
        share: tuple[int, int] = (0, 1),
        clients: int = 0,
    ) -> Generator:
        """A generator of requests for one service on a queue; ``header``: see ``request_header``.

        ``addresses`` is the number of source addresses, from the header's own up. ``share`` is
        (index, total): generators that take turns on a socket each have their own ports, so that
        a late reply to one is not judged by the next. Interleaved-mode ``clients`` need stamps.
        """
        if clients and not self._stamps:
            raise ValueError("interleaved clients need receive stamps: stamps=True")
        data, ip_at = header
        which, of = share
        return Generator(
            self.sockets[queue],
            service,
            data,
            ip_at,
            FIRST_PORT + PORTS // of * which,
            ports=min(ports, PORTS // of),
            shared=of > 1,
            addresses=addresses,
            queries=queries,
            echo_bytes=echo_bytes,
            clients=clients,
        )

    def close(self) -> None:
        """Detaches and closes everything."""
        if self._link_fd >= 0:
            os.close(self._link_fd)
            self._link_fd = -1
        for socket in self.sockets.values():
            socket.close()
        self.sockets.clear()
        if self._program:
            self._program.close()
            self._program = None


def request_header(
    macs: tuple[bytes, bytes],
    addresses: tuple[Address, Address],
    port: int,
    tags: Sequence[int] = (),
) -> tuple[bytes, int]:
    """Ethernet through UDP header of a request as (bytes, offset of the IP header); lengths are 0.

    ``macs`` and ``addresses`` are (source, destination); ``tags`` are VLAN IDs, outermost first.
    """
    source, destination = addresses
    ethernet = macs[1] + macs[0]
    for tag in tags:
        ethernet += struct.pack("!HH", VLAN, tag)
    ethernet += struct.pack("!H", ETHERTYPE[source.version])
    if source.version == 4:
        # Version and header length, TOS, length, ID, DF, TTL, protocol, checksum (RFC 791, 3.1).
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0x4000, 64, UDP, 0)
    else:
        # Version, length, next header, hop limit (RFC 8200 section 3).
        ip = struct.pack("!IHBB", 6 << 28, 0, UDP, 64)
    ip += source.packed + destination.packed
    return ethernet + ip + struct.pack("!HHHH", 0, port, 0, 0), len(ethernet)
