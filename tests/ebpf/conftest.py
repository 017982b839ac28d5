"""The program under test, loaded by bcc as in production, and from clang's object file."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pyroute2 import IPRoute
from steer_frames import PORTS
from steer_program import LOADERS, STAMP, SteerProgram

from xdpkit._core._xsk import XskSocket
from xdpkit.lab.namespaces import Lab

SOCKET_QUEUE = 2

SERVED = ("192.0.2.1", "2001:db8::1")
TAGGED = ("@100", "@200.300")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A veth pair with four queues, for its ifindex and an AF_XDP socket; nothing is attached."""
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="session", params=sorted(LOADERS))
def steer(request: pytest.FixtureRequest, lab: Lab) -> Iterator[SteerProgram]:
    """The program with every service at both addresses, untagged, with one tag and with two."""
    with IPRoute(netns=lab.server.namespace) as ipr:
        ifindex = ipr.link_lookup(ifname=lab.server.ifname)[0]
    fd, maps = LOADERS[request.param]()
    stamp = STAMP if request.param == "stamped" else 0
    steer = SteerProgram(fd, maps, lab.server, ifindex, stamp)
    for address in SERVED:
        for service, port in PORTS.items():
            for tags in ("", *TAGGED):
                steer.serve(address + tags, port, service)
    yield steer
    for number in (fd, *maps.values()):
        os.close(number)


@pytest.fixture(scope="session")
def socket(lab: Lab, steer: SteerProgram) -> Iterator[XskSocket]:
    """An AF_XDP socket on queue 2, in no XSKMAP."""
    with lab.server.entered():
        opened = XskSocket(steer.ifindex, SOCKET_QUEUE)
    yield opened
    opened.close()


@pytest.fixture
def taken(steer: SteerProgram, socket: XskSocket) -> Iterator[SteerProgram]:
    """The program with that socket in its XSKMAP."""
    steer.set_socket(SOCKET_QUEUE, socket.fileno())
    yield steer
    steer.set_socket(SOCKET_QUEUE, None)
