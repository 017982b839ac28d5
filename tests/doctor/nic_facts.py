"""Facts about a machine on which all is well, and changes to them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from xdpkit.doctor.probe import ProbeFacts
from xdpkit.doctor.probe_host import Clock, Host, Node
from xdpkit.doctor.probe_kernel import Kernel, Privileges
from xdpkit.doctor.probe_link import Device, Link
from xdpkit.doctor.probe_xdp import Program, Xdp
from xdpkit.nic.os.ethtool import Channels, Coalescing, Driver, Rings, Timestamping
from xdpkit.nic.os.ethtool_features import Feature
from xdpkit.nic.os.ethtool_rss import RXH_IP_DST, RXH_IP_SRC, Rss
from xdpkit.nic.os.ethtool_rxnfc import RuleTable
from xdpkit.nic.os.hwtstamp import Setting
from xdpkit.nic.os.interface import Interface
from xdpkit.nic.os.interrupts import Interrupt
from xdpkit.nic.os.netdev import Features
from xdpkit.nic.os.port_holders import Listener, Process

OFF, ON, FIXED = Feature(False, True), Feature(True, True), Feature(True, False)

FEATURES = {
    "rx-lro": OFF,
    "rx-gro-hw": OFF,
    "rx-udp-gro-forwarding": OFF,
    "rx-vlan-hw-parse": ON,
    "rx-ntuple-filter": ON,
}

GOOD = ProbeFacts(
    link=Link(
        Interface("eth1", 7, 8, True, None, mac=bytes(6)),
        addresses=("192.0.2.1", "2001:db8::1"),
    ),
    device=Device(
        driver=Driver("mlx5_core", "6.12", "16.35", "0000:81:00.0"),
        channels=Channels(0, 0, 0, 8),
        most_channels=Channels(0, 0, 0, 8),
        rings=Rings(2048, 2048, 8192, 8192),
        rss=Rss(tuple(slot % 8 for slot in range(16)), bytes(40), 1),
        hash_udp4=RXH_IP_SRC | RXH_IP_DST,
        hash_udp6=RXH_IP_SRC | RXH_IP_DST,
        rules=RuleTable(1024, False),
        features=FEATURES,
        coalescing=Coalescing(8, 32, 8, 32, False, False),
        timestamping=Timestamping(0x5F, 3, 3, 3),
        stamps=Setting(0, 0, 0),
        node=1,
        interrupts=(Interrupt(99, "mlx5_comp2@pci:0000:81:00.0", 2, (5,)),),
    ),
    xdp=Xdp(
        features=Features(
            ("basic", "redirect", "ndo-xmit", "xsk-zerocopy"), 1, ("timestamp", "hash"), ()
        )
    ),
    kernel=Kernel("6.12.9-amd64", (6, 12), True, True, 1, 0, "none", "0.31.0", True),
    privileges=Privileges(True, (), (), (4, 5, 6, 7)),
    host=Host(
        nodes={0: Node((0, 1, 2, 3), 0, 0), 1: Node((4, 5, 6, 7), 64, 64)},
        memlock_kib=None,
        idle_us=2,
        governors=("performance",),
        clock=Clock(True, 500),
    ),
)

FOREIGN = Program(41, "native", "drop_all")
CHRONYD = Process(812, "chronyd", "chrony.service")
NAMED = Process(813, "named", "named.service")


def but(facts: Any, **changes: Any) -> Any:
    """The facts, with others at dotted names, whose dots are written as two underscores."""
    for path, value in changes.items():
        facts = _at(facts, path.split("__"), value)
    return facts


def _at(facts: Any, path: list[str], value: Any) -> Any:
    first, *rest = path
    return replace(facts, **{first: _at(getattr(facts, first), rest, value) if rest else value})


def listener(protocol: str, address: str, port: int, owner: Process | None) -> Listener:
    """A socket with its owner."""
    return Listener(protocol, ip_address(address), port, owner)


def driver(name: str) -> Driver:
    """Another driver."""
    return Driver(name, "", "", "0000:01:00.0")
