"""The interface as the kernel has it, and what its driver says of itself. Read only.

An interface is looked up by netlink and never by name in an ioctl: for a name that is not there,
the kernel would try to load a module of that name (net/core/dev_ioctl.c, dev_load).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from xdpkit.errors import NicError
from xdpkit.nic.fact import Fact, Unknown, known, look, number
from xdpkit.nic.os import ethtool, ethtool_features, ethtool_rss, ethtool_rxnfc, hwtstamp
from xdpkit.nic.os.ethtool_features import Feature
from xdpkit.nic.os.ethtool_rss import UDP_V4_FLOW, UDP_V6_FLOW, Rss
from xdpkit.nic.os.ethtool_rxnfc import RuleTable
from xdpkit.nic.os.interface import Interface, from_link
from xdpkit.nic.os.interrupts import Interrupt, devices, interrupts

# linux/if.h.
IFF_LOOPBACK = 0x8

_SYSFS = Path("/sys/class/net")


@dataclass(frozen=True)
class Link:
    """What netlink says of the interface."""

    interface: Interface
    mtu: int = 1500
    carrier: bool = True
    loopback: bool = False
    master: str = ""
    """The bridge, bond or team that it is a member of."""
    master_kind: str = ""
    vlans: Mapping[str, int] = field(default_factory=dict)
    """VLAN interfaces on top of it, and their tags."""
    tunnels: tuple[str, ...] = ()
    """GRE tunnels of this network namespace."""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Device:
    """What the driver says by ethtool's ioctls, and sysfs of its place in the machine."""

    driver: Fact[ethtool.Driver] = None
    channels: Fact[ethtool.Channels] = None
    most_channels: Fact[ethtool.Channels] = None
    rings: Fact[ethtool.Rings] = None
    rss: Fact[Rss] = None
    hash_udp4: Fact[int] = None
    """RXH_ bits of ``ethtool_rss``: what the hash of UDP packets is made of."""
    hash_udp6: Fact[int] = None
    rules: Fact[RuleTable] = None
    features: Fact[dict[str, Feature]] = None
    coalescing: Fact[ethtool.Coalescing] = None
    timestamping: Fact[ethtool.Timestamping] = None
    stamps: Fact[hwtstamp.Setting] = None
    node: Fact[int] = None
    """The NUMA node that it is at."""
    interrupts: Fact[tuple[Interrupt, ...]] = ()

    @property
    def driver_name(self) -> str:
        """The driver's, or nothing."""
        driver = known(self.driver)
        return driver.name if driver else ""

    def has(self, feature: str) -> bool:
        """Whether an offload is known to be on."""
        found = (known(self.features) or {}).get(feature)
        return found is not None and found.on


def interfaces() -> list[str]:
    """The interfaces of this network namespace that look like a device of the machine, or else
    all but the loopback: in a namespace there are virtual ones only.
    """
    with IPRoute() as ipr:
        links = [link for link in ipr.get_links() if not link["flags"] & IFF_LOOPBACK]
    names = [(str(link.get_attr("IFLA_IFNAME")), from_link(link).kind) for link in links]
    devices = [name for name, kind in names if not kind]
    return devices or [name for name, _ in names]


def link(name: str) -> tuple[Link, Any]:
    """The interface, and netlink's message of it. Raises NicError where there is none."""
    with IPRoute() as ipr:
        links = {str(each.get_attr("IFLA_IFNAME")): each for each in ipr.get_links()}
        if name not in links:
            there = ", ".join(sorted(links))
            raise NicError(
                f"interface {name!r} is not in this network namespace, but {there}: name one, or "
                f"use 'ip netns exec NAME xdpkit doctor {name}'"
            )
        message = links[name]
        found = ipr.get_addr(index=message["index"])
    names = {each["index"]: each for each in links.values()}
    interface = from_link(message)
    master = names.get(interface.master)
    return Link(
        interface=interface,
        mtu=message.get_attr("IFLA_MTU") or 0,
        carrier=bool(message.get_attr("IFLA_CARRIER")),
        loopback=bool(message["flags"] & IFF_LOOPBACK),
        master=str(master.get_attr("IFLA_IFNAME")) if master else "",
        master_kind=from_link(master).kind if master else "",
        vlans=dict(_vlans(links, interface.index)),
        tunnels=tuple(sorted(name for name, each in links.items() if _is_gre(each))),
        addresses=tuple(
            str(each.get_attr("IFA_LOCAL") or each.get_attr("IFA_ADDRESS")) for each in found
        ),
    ), message


def _vlans(links: Mapping[str, Any], parent: int) -> Iterator[tuple[str, int]]:
    for name, each in links.items():
        info = each.get_attr("IFLA_LINKINFO")
        if each.get_attr("IFLA_LINK") != parent or info is None:
            continue
        data = info.get_attr("IFLA_INFO_DATA")
        if info.get_attr("IFLA_INFO_KIND") == "vlan" and data is not None:
            yield name, int(data.get_attr("IFLA_VLAN_ID") or 0)


def _is_gre(message: Any) -> bool:
    """The kernel's own fallback interface, gre0, is one only in name."""
    kind = from_link(message).kind
    return kind.removeprefix("ip6") in ("gre", "gretap") and message["state"] == "up"


def device(interface: Interface) -> Device:
    """Asks the driver of an interface of this network namespace."""
    name = interface.name
    channels = look(ethtool.channels, name)
    now, most = channels if isinstance(channels, tuple) else (channels, channels)
    files = sysfs(interface)
    return Device(
        driver=look(ethtool.driver, name),
        channels=now,
        most_channels=most,
        rings=look(ethtool.rings, name),
        rss=look(ethtool_rss.read, name),
        hash_udp4=look(ethtool_rss.hash_fields, name, UDP_V4_FLOW),
        hash_udp6=look(ethtool_rss.hash_fields, name, UDP_V6_FLOW),
        rules=look(ethtool_rxnfc.read, name),
        features=look(_features, name),
        coalescing=look(ethtool.coalescing, name),
        timestamping=look(ethtool.timestamping, name),
        stamps=look(hwtstamp.read, name),
        node=files if isinstance(files, Unknown) else look(numa_node, files),
        interrupts=files if isinstance(files, Unknown) else look(interrupts, files),
    )


def _features(name: str) -> dict[str, Feature]:
    """Without the bits that have no name."""
    found = ethtool_features.features(name)
    return {feature: state for feature, state in found.items() if feature}


def sysfs(interface: Interface, root: Path = _SYSFS) -> Path | Unknown:
    """The interface's directory; /sys may have been mounted in another network namespace."""
    path = root / interface.name
    if look(number, path / "ifindex") == interface.index:
        return path
    return Unknown("/sys is of another network namespace: 'ip netns exec' mounts the right one")


def numa_node(path: Path) -> int | None:
    """The node of the device or, as virtio has none of its own, of the one above it."""
    for each in devices(path):
        if (each / "numa_node").exists():
            node = number(each / "numa_node")
            return None if node < 0 else node
    return None
