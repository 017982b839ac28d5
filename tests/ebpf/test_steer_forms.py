"""The variants for drivers that leave no room before the frame, or have no stamp for it."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pyroute2 import IPRoute
from steer_frames import ADDRESSES, FAMILIES, frame
from steer_program import NO_STAMP, XDP_REDIRECT, SteerProgram, load_with_clang

from xdpkit._core._xsk import XskSocket
from xdpkit.bpf import loader
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

QUEUE = 3


@contextmanager
def serving_ntp(
    lab: Lab, queue: int, load: Callable[[], tuple[int, dict[str, int]]]
) -> Iterator[SteerProgram]:
    """A program that serves NTP on a queue that has an AF_XDP socket."""
    with IPRoute(netns=lab.server.namespace) as ipr:
        ifindex = ipr.link_lookup(ifname=lab.server.ifname)[0]
    fd, maps = load()
    steer = SteerProgram(fd, maps, lab.server, ifindex)
    for family in FAMILIES:
        steer.serve(ADDRESSES[family][1], 123, "ntp")
    with lab.server.entered():
        socket = XskSocket(ifindex, queue)
    steer.set_socket(queue, socket.fileno())
    yield steer
    socket.close()
    for number in (fd, *maps.values()):
        os.close(number)


def load_bare() -> tuple[int, dict[str, int]]:
    program = loader.load("steer", "STEER_NO_METADATA")
    return program.fd, program.maps


@pytest.fixture(scope="module")
def bare(lab: Lab) -> Iterator[SteerProgram]:
    """The variant without stamps."""
    with serving_ntp(lab, QUEUE, load_bare) as steer:
        yield steer


@pytest.mark.parametrize("room", [0, 216], ids=["room", "no-room"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_request_is_taken_without_a_stamp(bare: SteerProgram, family: int, room: int) -> None:
    before = bytes(range(room))
    action, metadata, after = bare.run(frame(family), QUEUE, metadata=before)
    assert (action, metadata, after) == (XDP_REDIRECT, before, frame(family))


def test_the_rest_passes(bare: SteerProgram) -> None:
    assert bare.verdict(frame(4, "dns"), QUEUE) == "not_served"
    assert bare.verdict(frame(4), 1) == "other_queue"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_driver_that_reports_an_error_gives_no_stamp(lab: Lab, family: int) -> None:
    with serving_ntp(lab, 0, lambda: load_with_clang(NO_STAMP)) as steer:
        action, metadata, _ = steer.run(frame(family), 0)
    hardware, tai = struct.unpack("=QQ", metadata)
    assert (action, hardware) == (XDP_REDIRECT, 0)
    assert tai
