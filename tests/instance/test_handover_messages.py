"""The messages of a handover: what makes no sense is refused by name, and everything is closed."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit.errors import ControlError
from xdpkit.instance.handover.messages import check_facts, ready_queues, refusal
from xdpkit.instance.handover.rings import Answer, RingsOffer, take_rings
from xdpkit.instance.handover.successor import _handed_over
from xdpkit.instance.handover.wire import LAYOUT, Wire

pytestmark = pytest.mark.anyio

QUEUE = {"number": 2, "tx_metadata": 0, "huge_pages": False}
FACTS: dict[str, Any] = {
    "layout": LAYOUT,
    "mode": "native",
    "bound": False,
    "hardware_stamps": False,
    "lock": True,
    "metrics": None,
    "queues": [QUEUE],
    "udp": [["192.0.2.1", "ntp", 123]],
    "tcp": [],
    "cookies": {"secrets": ["00" * 16], "until": 0.0},
    "health": {"directory": "/health", "files": {"pool": {"one": 2, "two": 0}}},
}
DESCRIPTORS = 3 + 2 + 1 + 1

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)

WRONG = [
    ("mode", "copy"),
    ("bound", 1),
    ("hardware_stamps", None),
    ("lock", None),
    ("metrics", 9153),
    ("queues", {}),
    ("queues", [QUEUE, QUEUE]),
    ("queues", [QUEUE | {"number": 256}]),
    ("queues", [QUEUE | {"number": -1}]),
    ("queues", [QUEUE | {"number": True}]),
    ("queues", [QUEUE | {"tx_metadata": 1 << 40}]),
    ("queues", [{"number": 2}]),
    ("udp", [["192.0.2.1", "ntp"]]),
    ("udp", [["not an address", "ntp", 123]]),
    ("udp", [["192.0.2.1", "http", 123]]),
    ("udp", [["192.0.2.1", "ntp", 65536]]),
    ("udp", [["192.0.2.1", "ntp", 123]] * 2),
    ("tcp", "192.0.2.1"),
    ("cookies", {"secrets": [], "until": 0.0}),
    ("cookies", {"secrets": ["00" * 15], "until": 0.0}),
    ("cookies", {"secrets": ["00" * 16], "until": float("nan")}),
    ("cookies", {"secrets": ["00" * 16], "until": time.monotonic() + 1e9}),
    ("health", []),
    ("health", {"files": {}}),
    ("health", {"directory": "/health", "files": []}),
    ("health", {"directory": "/health", "files": {"pool": [2]}}),
    ("health", {"directory": "/health", "files": {"pool": {"one": 3}}}),
    ("health", {"directory": "/health", "files": {"pool": {"one": True}}}),
]


def test_the_facts_of_a_real_predecessor() -> None:
    check_facts(FACTS, DESCRIPTORS)
    check_facts({key: FACTS[key] for key in FACTS if key != "health"}, DESCRIPTORS)


@pytest.mark.parametrize("key, value", WRONG)
def test_facts_that_no_predecessor_sends(key: str, value: object) -> None:
    with pytest.raises(ControlError, match=rf"malformed facts \({key}\)"):
        check_facts(FACTS | {key: value}, DESCRIPTORS)


@pytest.mark.parametrize("key", set(FACTS) - {"layout", "health"})
def test_facts_that_are_missing(key: str) -> None:
    with pytest.raises(ControlError, match=rf"malformed facts \({key}\)"):
        check_facts({name: value for name, value in FACTS.items() if name != key}, DESCRIPTORS)


@pytest.mark.parametrize("count", [0, DESCRIPTORS - 1, DESCRIPTORS + 1])
def test_another_number_of_descriptors(count: int) -> None:
    with pytest.raises(ControlError, match=f"sends {count} descriptors, not the {DESCRIPTORS}"):
        check_facts(FACTS, count)


@given(st.dictionaries(st.sampled_from(sorted(FACTS)), json_values))
def test_no_facts_raise_anything_else(facts: dict[str, Any]) -> None:
    try:
        check_facts(FACTS | facts, DESCRIPTORS)
    except ControlError as error:
        assert "\n" not in str(error)


@given(json_values)
def test_no_ready_raises_anything_else(value: object) -> None:
    try:
        assert set(ready_queues({"ready": value}, [2, 3])) <= {2, 3}
    except ControlError as error:
        assert "\n" not in str(error)


@given(json_values)
def test_a_refusal_is_one_line(value: object) -> None:
    words = refusal({"error": value})
    assert words is not None and words.isprintable() and len(words) <= 200


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def exchange(facts: object, sent: list[int]) -> None:
    """A predecessor that sends these facts and descriptors; raises what its successor raises."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire = Wire(ours, 100)
        try:
            theirs.sendall(json.dumps(facts).encode() + b"\n")
            if sent:
                socket.send_fds(theirs, [b" "], sent)
            message = await wire.receive(5)
            assert message is not None
            _handed_over("nic0", wire, message)
        finally:
            wire.close()


@pytest.mark.parametrize("count", [DESCRIPTORS - 1, DESCRIPTORS, 2 * DESCRIPTORS, 150])
async def test_descriptors_that_are_not_what_they_are_said_to_be(count: int) -> None:
    before = open_descriptors()
    null = os.open(os.devnull, os.O_RDWR)
    facts = FACTS | {"descriptors": min(count, 100)}
    # The first is to be a listening socket: /dev/null is none.
    with pytest.raises(ControlError, match="descriptors"):
        await exchange(facts, [null] * count)
    os.close(null)
    assert open_descriptors() == before


@pytest.mark.parametrize("layout", [None, 3, "x" * 10_000, [1]])
async def test_another_layout_is_not_looked_at(layout: object) -> None:
    with pytest.raises(ValueError, match="its handover layout is") as caught:
        await exchange({"layout": layout}, [])
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "text", [b"[1]\n", b'"x"\n', b"\xff\n", b"[" * 50_000 + b"\n", b"1" * 5000]
)
async def test_lines_that_are_no_messages(text: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(text + b"\n")
        with pytest.raises(ControlError, match="malformed"):
            await Wire(ours).receive(5)


async def test_a_peer_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xdpkit.instance.handover.wire._SEND_SECONDS", 0.1)
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ControlError, match="does not read"):
        await Wire(ours).send({"text": "x" * (1 << 22)})


async def test_a_peer_that_is_gone_is_no_error() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        wire = Wire(ours)
        await wire.send({"text": "x"}, [0] * 600)
        assert await wire.receive(1) is None


async def test_a_message_that_is_there_when_the_time_is_over() -> None:
    """As for a process that was stopped for longer than the time."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b'{"serving": true}\n')
        assert await Wire(ours).receive(0) == {"serving": True}


async def test_the_rings_have_one_owner() -> None:
    # Offered and taken; offered and taken back; never offered; the predecessor gone.
    offer = RingsOffer()
    with pytest.raises(ControlError, match="does not park"):
        await take_rings(offer.receiver, 0.05)
    offer.offer()
    assert await take_rings(offer.receiver, 1) is Answer.OURS
    assert not offer.take_back()
    offer.close()

    for offered in (True, False):
        offer = RingsOffer()
        receiver = os.dup(offer.receiver)
        if offered:
            offer.offer()
        assert offer.take_back()
        assert offer.take_back()
        offer.close()
        offer.close()
        assert await take_rings(receiver, 1) is Answer.KEPT
        os.close(receiver)


async def test_the_rings_of_a_predecessor_that_died() -> None:
    receiver, sender = os.pipe2(os.O_NONBLOCK)
    os.close(sender)
    with anyio.fail_after(5):
        assert await take_rings(receiver, 5) is Answer.OURS
    os.close(receiver)
