"""The generator's finished NTP payloads: matching replies to requests, and what is correct."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest

from xdpkit._core._answer import answer_frame
from xdpkit._core._requests import Requests
from xdpkit._core._snapshot import Snapshot
from xdpkit.bench import frames
from xdpkit.loadgen.setup import request_header

SERVER = Snapshot({"ntp": 123}, ntp={"stratum": 10})
SECOND = 10**9
NOW = 1_795_000_000 * SECOND
UDP_AT, PAYLOAD_AT, NTP_BYTES, ORIGIN = 34, 42, 48, 24
# chrony's experimental field; the reply carries one of the same length.
MONO_ROOT = struct.pack("!HHI", 0xF323, 28, 0xF5BEDD9A) + bytes(20)


def requests(count: int, rest: bytes = b"", ports: int = 1000) -> Requests:
    addresses = (ip_address("192.0.2.2"), ip_address("192.0.2.1"))
    header = request_header(frames.MACS, addresses, 123)
    payloads = [payload + rest for payload in frames.ntp_payloads(count)]
    return Requests("ntp", *header, 61000, ports=ports, queries=payloads)


def answer(request: bytes) -> bytes:
    verdict, reply = answer_frame(SERVER, request, rx_ns=NOW, tx_ns=NOW + 1000)
    assert reply is not None, verdict
    return reply


def changed(reply: bytes, at: int, value: bytes) -> bytes:
    """The reply with other bytes in its payload, and no UDP checksum."""
    data = bytearray(reply)
    data[PAYLOAD_AT + at : PAYLOAD_AT + at + len(value)] = value
    data[UDP_AT + 6 : UDP_AT + 8] = bytes(2)
    return bytes(data)


@pytest.mark.parametrize("rest", [b"", MONO_ROOT], ids=["plain", "extension"])
@pytest.mark.parametrize("count", [1, 3, 4096])
def test_every_one_is_answered_in_any_order(count: int, rest: bytes) -> None:
    # One outstanding request per payload: with too few ports a repeat would look like the first.
    made = requests(count, rest)
    for _ in range(3):
        sent = [made.request(NOW) for _ in range(min(count, 100))]
        assert [made.reply(answer(one), NOW + 1) for one in reversed(sent)] == ["right"] * len(sent)
    counters = made.counters()
    assert counters["sent"] == counters["answered"]
    assert counters["wrong"] == counters["open"] == 0


def test_the_payload_is_sent_unchanged() -> None:
    made = requests(2, MONO_ROOT)
    sent = [made.request(NOW)[PAYLOAD_AT:] for _ in range(3)]
    assert sent == [payload + MONO_ROOT for payload in frames.ntp_payloads(2)] + sent[:1]


def test_ports_tell_repeats_of_a_payload_apart() -> None:
    made = requests(2, ports=7)
    sent = [made.request(NOW) for _ in range(14)]
    assert [made.reply(answer(one), NOW + 1) for one in sent] == ["right"] * 14
    assert made.reply(answer(sent[3]), NOW + 1) == "duplicate"


@pytest.mark.parametrize(
    "at, value",
    [
        (ORIGIN, struct.pack("!Q", frames.FIRST_MARK + 2)),
        (ORIGIN, struct.pack("!Q", frames.FIRST_MARK - 1)),
        (ORIGIN, struct.pack("!Q", frames.FIRST_MARK + 1)),
        (NTP_BYTES, b"\0\0\0\2"),
        (0, b"\x23"),
    ],
    ids=["mark-beyond", "mark-before", "mark-not-sent", "key-id", "mode"],
)
def test_wrong(at: int, value: bytes) -> None:
    made = requests(2, MONO_ROOT)
    reply = answer(made.request(NOW))
    assert made.reply(changed(reply, at, value), NOW + 1) == "wrong"
    assert made.reply(reply, NOW + 1) == "right"


def test_a_reply_of_another_length_is_wrong() -> None:
    plain, long = requests(1), requests(1, MONO_ROOT)
    assert long.reply(answer(plain.request(NOW)), NOW + 1) == "wrong"
    long.request(NOW)
    assert long.reply(answer(plain.request(NOW)), NOW + 1) == "wrong"
    assert plain.reply(answer(long.request(NOW)), NOW + 1) == "wrong"


def test_invalid_payloads() -> None:
    header = request_header(frames.MACS, (ip_address("192.0.2.2"), ip_address("192.0.2.1")), 123)
    payloads = frames.ntp_payloads(3)
    for wrong in ([payloads[0], payloads[2]], [payloads[0][:47]], [payloads[0] + bytes(480)]):
        with pytest.raises(ValueError, match=r"count up by one|of 47 bytes|more than 512"):
            Requests("ntp", *header, 61000, queries=wrong)
    with pytest.raises(ValueError, match="for dns and ntp"):
        Requests("echo", *header, 61000, queries=payloads)
    with pytest.raises(ValueError, match="needs queries"):
        Requests("dns", *header, 61000)
