"""A NIC stamp from the XDP program through the loop into an NTP reply.

The program is the variant that asks the driver, with a constant instead of the call: no device here
has a clock.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import anyio
import pytest
from steer_program import STAMP, load_stamped

from xdpkit._core._snapshot import SharedSnapshot, Snapshot
from xdpkit.bpf import link
from xdpkit.bpf.loader import Program
from xdpkit.config import InterfaceConfig
from xdpkit.config.address import ServedAddress
from xdpkit.dataplane import dataplane as dataplane
from xdpkit.dataplane.attach import Attached
from xdpkit.dataplane.dataplane import DataPlane
from xdpkit.lab.namespaces import Lab
from xdpkit.nic.setup.apply import Changes
from xdpkit.nic.setup.device import Device
from xdpkit.nic.setup.journal import Journal, Owner
from xdpkit.runtime.deadline import ShutdownDeadline
from xdpkit.services.ntp.local import local_state

pytestmark = pytest.mark.netns

QUEUE, QUEUES = 2, 4

# RFC 5905 figure 4: seconds from 1900 to 1970.
ERA = 2208988800


def snapshot(phc: dict[str, int] | None = None) -> Snapshot:
    return Snapshot({"ntp": 123}, ntp=local_state(10), phc=phc)


@dataclass
class LoopTestbed:
    """A loop that answers on a queue of the lab, and a client."""

    lab: Lab
    shared: SharedSnapshot
    got: DataPlane
    client: socket.socket

    def receive_time(self) -> int:
        """A reply's receive timestamp as UTC in nanoseconds."""
        self.client.send(b"\x23" + bytes(47))
        seconds, fraction = struct.unpack_from("!II", self.client.recv(100), 32)
        return int((seconds - ERA) * 10**9 + (fraction * 10**9 >> 32))

    def counters(self) -> tuple[int, int, int]:
        found = self.got.queues[0].worker.counters()
        return found["stamp_hw"], found["stamp_xdp"], found["stamp_clock"]


@pytest.fixture
def testbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopTestbed]:
    shared = SharedSnapshot(snapshot())
    config = InterfaceConfig("server0", (QUEUE,))
    with Lab(QUEUES) as lab:
        program = Program("steer", *load_stamped())
        interface = lab.server.interface()
        with lab.server.entered():
            link_fd = link.attach_native(program, interface)
            assert link_fd is not None
            attached = Attached(program, link_fd, "native")
            monkeypatch.setattr(dataplane, "attach", lambda *_: attached)
            device = Device(interface.name)
            changes = Changes(device, Journal(tmp_path / "j", Owner.me("", device.identity())))
            got = dataplane.open_dataplane(config, None, interface, shared, changes)
        got.serve([ServedAddress(ip_address(lab.server.ipv4))], {"ntp": 123})
        lab.client.send_on_queue(QUEUE, QUEUES)
        with lab.client.entered():
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(20)
        client.connect((lab.server.ipv4, 123))
        yield LoopTestbed(lab, shared, got, client)
        client.close()
        assert anyio.run(got.close, ShutdownDeadline())


def test_the_reply_has_the_nics_time(testbed: LoopTestbed) -> None:
    while True:
        tai, utc = (time.clock_gettime_ns(c) for c in (time.CLOCK_TAI, time.CLOCK_REALTIME))
        testbed.shared.publish(snapshot({"phc_ns": STAMP, "tai_ns": tai - 10**6, "rate": 0}))
        received = testbed.receive_time()
        if time.clock_gettime_ns(time.CLOCK_TAI) - tai < 900_000_000:
            break
    # The two clocks above are read separately, and the fraction of a second is truncated at 2^-32.
    offset = round((tai - utc) / 10**9) * 10**9
    assert abs(received - (tai - 10**6 - offset)) <= 1
    hardware, xdp, clock = testbed.counters()
    assert hardware >= 1
    assert (xdp, clock) == (0, 0)


def test_without_a_map_it_has_the_xdp_programs_time(testbed: LoopTestbed) -> None:
    testbed.receive_time()
    before = time.time_ns()
    received = testbed.receive_time()
    assert before - 1000 <= received <= time.time_ns()
    assert testbed.counters() == (0, 2, 0)


def test_a_wrong_map_is_not_trusted(testbed: LoopTestbed) -> None:
    for wrong in (2 * 10**9, -(10**9)):
        tai = time.clock_gettime_ns(time.CLOCK_TAI)
        testbed.shared.publish(snapshot({"phc_ns": STAMP, "tai_ns": tai - wrong, "rate": 0}))
        before = time.time_ns()
        assert before - 1000 <= testbed.receive_time() <= time.time_ns()
    assert testbed.counters() == (0, 2, 0)
