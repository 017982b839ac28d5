"""Frames truncated at every byte, the receive stamp, and map changes while the program runs."""

from __future__ import annotations

import random
import struct
import time

import pytest
from steer_frames import ADDRESSES, FAMILIES, NTP_REQUEST, PAYLOADS, frame, network, tags_of
from steer_program import XDP_REDIRECT, SteerProgram

from xdpkit._core._xsk import XskSocket

pytestmark = pytest.mark.netns

ETHERNET = 14


@pytest.mark.parametrize("tags", [(), (100,), (200, 300)], ids=["untagged", "one", "two"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_frame_truncated_anywhere_passes(
    taken: SteerProgram, family: int, tags: tuple[int, ...]
) -> None:
    whole = frame(family, tags=tags_of(*tags))
    headers = ETHERNET + 4 * len(tags) + (20 if family == 4 else 40)
    for length in range(ETHERNET, len(whole)):
        # The IP header claims more than there is; before its end, the headers are truncated.
        verdict = "truncated" if length < headers else "ip_header"
        assert taken.verdict(whole[:length], 2) == verdict, length
    assert taken.verdict(whole, 2) == "redirected"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_payload_truncated_to_any_length_is_redirected(taken: SteerProgram, family: int) -> None:
    for service, payload in PAYLOADS.items():
        for length in range(len(payload) + 1):
            assert taken.verdict(frame(family, service, payload[:length]), 2) == "redirected"


@pytest.mark.parametrize("family", FAMILIES)
def test_an_ip_length_within_the_udp_header_is_wrong(taken: SteerProgram, family: int) -> None:
    for extra in range(8):
        length = {"len": 20 + extra} if family == 4 else {"plen": extra}
        assert taken.verdict(frame(family, ip=network(family, **length)), 2) == "udp_length"


def test_ethernet_padding_is_ignored(taken: SteerProgram) -> None:
    for padding in range(1, 60):
        assert taken.verdict(frame(4, payload=NTP_REQUEST) + bytes(padding), 2) == "redirected"
        assert taken.verdict(frame(6, payload=NTP_REQUEST) + b"\xff" * padding, 2) == "redirected"


def test_any_bytes_pass_or_are_taken_unchanged(taken: SteerProgram) -> None:
    chance = random.Random(20261122)
    for _ in range(1500):
        data = bytearray(frame(chance.choice(FAMILIES), tags=tags_of(*[100] * chance.randrange(4))))
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        taken.verdict(bytes(data[: chance.randrange(ETHERNET, len(data) + 1)]), chance.randrange(4))


@pytest.mark.parametrize("family", FAMILIES)
def test_stamp_is_the_time_of_arrival(taken: SteerProgram, family: int) -> None:
    before = time.clock_gettime_ns(time.CLOCK_TAI)
    action, metadata, after = taken.run(frame(family), 2)
    now = time.clock_gettime_ns(time.CLOCK_TAI)
    assert action == XDP_REDIRECT
    assert after == frame(family)
    hardware, stamp = struct.unpack("=QQ", metadata)
    assert hardware == taken.hardware_stamp
    assert before <= stamp <= now


def test_a_socket_that_closes_leaves_the_queue_to_the_kernel(steer: SteerProgram) -> None:
    with steer.side.entered():
        socket = XskSocket(steer.ifindex, 3)
    try:
        steer.set_socket(3, socket.fileno())
        assert steer.verdict(frame(4), 3) == "redirected"
        steer.set_socket(3, None)
        assert steer.verdict(frame(4), 3) == "other_queue"
        steer.set_socket(3, socket.fileno())
    finally:
        socket.close()
    deadline = time.monotonic() + 5
    while steer.verdict(frame(4), 3) != "other_queue":
        assert time.monotonic() < deadline, "the XSKMAP keeps a closed socket"


@pytest.mark.parametrize("family", FAMILIES)
def test_services_come_and_go(taken: SteerProgram, family: int) -> None:
    address = ADDRESSES[family][1]
    request = frame(family, udp={"dport": 1123})
    assert taken.verdict(request, 2) == "not_served"
    taken.serve(address, 1123, "ntp")
    assert taken.verdict(request, 2) == "redirected"
    # The same port for another service: the payload is now classified as that service's.
    taken.serve(address, 1123, "dns")
    response = frame(family, payload=b"\x23\x00\x80" + bytes(45), udp={"dport": 1123})
    assert taken.verdict(response, 2) == "dns_not_request"
    taken.unserve(address, 1123)
    assert taken.verdict(request, 2) == "not_served"


@pytest.mark.parametrize("family", FAMILIES)
def test_an_untagged_service_is_not_served_on_a_tag(taken: SteerProgram, family: int) -> None:
    address = ADDRESSES[family][1]
    for text, tags in (("", ()), ("@7", (7,)), ("@7.8", (7, 8))):
        taken.serve(address + text, 2123, "ntp")
        for other in ((), (7,), (8,), (7, 8), (8, 7)):
            verdict = "redirected" if other == tags else "not_served"
            data = frame(family, tags=tags_of(*other), udp={"dport": 2123})
            assert taken.verdict(data, 2) == verdict
        taken.unserve(address + text, 2123)
