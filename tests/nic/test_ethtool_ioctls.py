"""Every ethtool message byte by byte: ours, golden ones, and those of the kernel's own header."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit.nic.os import ethtool, ethtool_features, ethtool_rss, ethtool_rxnfc
from xdpkit.nic.os.ethtool import Channels, Coalescing, Driver, Rings, Timestamping
from xdpkit.nic.os.ethtool_features import Feature
from xdpkit.nic.os.ethtool_rss import Rss
from xdpkit.nic.os.ethtool_rxnfc import Flow, FlowMatch, Rule, RuleTable

HERE = Path(__file__).parent

V4 = FlowMatch(ip_address("192.0.2.1"), 53, source=1, mask=3)
V6 = FlowMatch(ip_address("2001:db8::1"), 123, source=2, mask=3)
DROP = (1 << 64) - 1
NAMES = {1: "rx-lro", 33: "rx-gro-hw", 39: "loopback"}
OFF = Feature(on=False, changeable=False)
FEATURES = {name: Feature(bit in (1, 39), bit in (1, 33)) for bit, name in NAMES.items()}

# The call, request and reply for each, and the result. Messages are named: "x?" and "x!" are
# requests, "x" is the reply.
CASES: dict[str, tuple[Callable[[str], Any], list[tuple[str, str]], Any]] = {
    "driver": (
        ethtool.driver,
        [("driver?", "driver")],
        Driver("ixgbe", "6.1", "0x8000", "0000:01:00.0"),
    ),
    "channels": (
        ethtool.channels,
        [("channels?", "channels")],
        (Channels(rx=5, tx=6, other=7, combined=8), Channels(rx=1, tx=2, other=3, combined=4)),
    ),
    "set channels": (
        partial(ethtool.set_channels, wanted=Channels(rx=5, tx=6, other=7, combined=8)),
        [("channels!", "channels!")],
        None,
    ),
    "rings": (ethtool.rings, [("rings?", "rings")], Rings(512, 256, 4096, 2048)),
    "coalescing": (
        ethtool.coalescing,
        [("coalescing?", "coalescing")],
        Coalescing(10, 20, 30, 40, adaptive_rx=False, adaptive_tx=True),
    ),
    "stamps": (ethtool.timestamping, [("stamps?", "stamps")], Timestamping(0x5F, 3, 3, 0x8003)),
    "address": (
        ethtool.hardware_address,
        [("address?", "address")],
        bytes.fromhex("021122334455"),
    ),
    "features": (
        ethtool_features.features,
        [("count?", "count"), ("names?", "names"), ("features?", "features")],
        {"": OFF, **FEATURES},
    ),
    "feature on": (
        partial(ethtool_features.set_feature, name="rx-gro-hw", on=True),
        [("count?", "count"), ("names?", "names"), ("feature-on!", "feature-on!")],
        None,
    ),
    "feature off": (
        partial(ethtool_features.set_feature, name="rx-gro-hw", on=False),
        [("count?", "count"), ("names?", "names"), ("feature-off!", "feature-off!")],
        None,
    ),
    "rss": (
        ethtool_rss.read,
        [("rss-sizes?", "rss-sizes"), ("rss?", "rss")],
        Rss(table=(3, 2, 1, 0), key=bytes(range(1, 9)), function=1),
    ),
    "rss default": (
        partial(ethtool_rss.write, table=(), transform=0),
        [("rss-default!", "rss-default!")],
        None,
    ),
    "rss table": (
        partial(ethtool_rss.write, table=(3, 2, 1, 0), transform=0),
        [("rss!", "rss!")],
        None,
    ),
    "rss queues": (ethtool_rss.queues, [("queues?", "queues")], 16),
    "rss hash": (
        partial(ethtool_rss.hash_fields, flow=ethtool_rss.UDP_V6_FLOW),
        [("hash?", "hash")],
        ethtool_rss.RXH_IP_SRC | ethtool_rss.RXH_IP_DST,
    ),
    "rules": (
        ethtool_rxnfc.read,
        [
            ("rule-count?", "rule-count"),
            ("all-rules?", "all-rules"),
            ("rule-31?", "rule-31"),
            ("rule-63?", "rule-63"),
        ],
        RuleTable(64, True, {31: Rule(V4.flow(), 5), 63: Rule(V6.flow(), DROP)}),
    ),
    "insert": (
        partial(ethtool_rxnfc.insert, match=V4, cookie=5, location=31),
        [("insert4!", "insert4!")],
        31,
    ),
    "insert where the driver chooses": (
        partial(ethtool_rxnfc.insert, match=V6, cookie=DROP, location=None),
        [("insert6!", "inserted6")],
        63,
    ),
    "delete": (partial(ethtool_rxnfc.delete, location=31), [("delete!", "delete!")], None),
}


def read_messages(text: str) -> dict[str, bytes]:
    """Parses the format that ethtool_messages.c writes."""
    found = {}
    for line in text.splitlines():
        name, rest = line.split(" ")
        size, digits = rest.split(":")
        found[name] = bytes.fromhex(digits).ljust(int(size), b"\0")
    return found


GOLDEN = read_messages((HERE / "ethtool_messages.txt").read_text())


@pytest.mark.parametrize("case", CASES)
def test_golden_bytes(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call, messages, result = CASES[case]
    left = list(messages)

    def ioctl(number: int, ifname: str, structure: bytes) -> bytes:
        assert (number, ifname) == (0x8946, "eth1")
        ours, theirs = left.pop(0)
        assert bytes(structure).hex() == GOLDEN[ours].hex()
        return GOLDEN[theirs]

    monkeypatch.setattr(ethtool, "interface_ioctl", ioctl)
    assert call("eth1") == result
    assert not left


def test_each_golden_message_is_used() -> None:
    used = {name for _, messages, _ in CASES.values() for pair in messages for name in pair}
    assert used == GOLDEN.keys()


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_headers_bytes_are_the_golden_ones(
    tool: Callable[[str], str], compiler: str, tmp_path: Path
) -> None:
    program = tmp_path / "messages"
    source = HERE / "ethtool_messages.c"
    subprocess.run([tool(compiler), "-std=gnu11", "-O1", source, "-o", program], check=True)
    text = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    assert read_messages(text) == GOLDEN


def test_a_symmetric_hash_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """input_xfrm (Linux 6.8) is written back as it was read, behind hfunc."""
    seen = []
    monkeypatch.setattr(ethtool, "command", lambda ifname, structure: seen.append(structure))
    ethtool_rss.write("eth1", [], transform=1)
    assert seen[0][16:18] == b"\0\1"


def test_a_feature_that_this_kernel_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter((GOLDEN["count"], GOLDEN["names"]))
    monkeypatch.setattr(ethtool, "command", lambda ifname, structure: next(answers))
    with pytest.raises(KeyError):
        ethtool_features.set_feature("eth1", "rx-fancy", True)


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EIO])
def test_what_a_driver_does_not_support(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def ioctl(*_: object) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(ethtool, "interface_ioctl", ioctl)
    if number == errno.EOPNOTSUPP:
        assert ethtool.if_supported(ethtool.rings, "eth1") is None
    else:
        with pytest.raises(OSError, match="Input/output"):
            ethtool.if_supported(ethtool.rings, "eth1")


addresses = st.ip_addresses().filter(lambda address: not address.is_unspecified)
masks = st.integers(0, 8).map(lambda bits: (1 << bits) - 1)
matches = st.builds(FlowMatch, addresses, st.integers(1, 65535), st.integers(0, 255), masks).map(
    lambda match: FlowMatch(match.destination, match.port, match.source & match.mask, match.mask)
)


@given(matches)
def test_a_match_round_trips(match: FlowMatch) -> None:
    assert FlowMatch.parse(str(match)) == match
    assert FlowMatch.of(match.flow()) == match


@given(st.sampled_from([2, 6, 1, 0x80000002]), st.binary(min_size=52, max_size=52), st.data())
def test_any_flow_is_a_match_or_none(kind: int, value: bytes, data: st.DataObject) -> None:
    """And two flows that differ only in bits that do not count are equal."""
    mask = data.draw(st.binary(min_size=52, max_size=52))
    flow = Flow(kind, value, mask)
    match = FlowMatch.of(flow)
    assert match is None or match.flow() == flow
    assert flow == Flow(kind, bytes(v & m for v, m in zip(value, mask, strict=True)), mask)


def test_free_locations() -> None:
    rule = Rule(V4.flow(), 0)
    assert RuleTable(3, False, {}).free() == 2
    assert RuleTable(3, False, {2: rule, 0: rule}).free() == 1
    assert RuleTable(1, False, {0: rule}).free() is None
