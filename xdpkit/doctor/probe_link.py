"""Reads an interface's state from the kernel, and its driver's capabilities.

An interface is looked up by netlink, never by name in an ioctl: for a name that does not exist, the
kernel would try to load a module of that name (net/core/dev_ioctl.c, dev_load).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from xdpkit.errors import NicError
from xdpkit.nic.fact import Fact, Unknown, read_fact, read_number, value_of
from xdpkit.nic.os import ethtool, ethtool_features, ethtool_rss, ethtool_rxnfc, hwtstamp
from xdpkit.nic.os.ethtool_features import Feature
from xdpkit.nic.os.ethtool_rss import UDP_V4_FLOW, UDP_V6_FLOW, Rss
from xdpkit.nic.os.ethtool_rxnfc import RuleTable
from xdpkit.nic.os.interface import Interface, from_link
from xdpkit.nic.os.interrupts import Interrupt, devices, interrupts

# linux/if.h.
IFF_LOOPBACK = 0x8

_RP_FILTER = Path("/proc/sys/net/ipv4/conf")
_SYSFS = Path("/sys/class/net")


@dataclass(frozen=True)
class Link:
    """What netlink says about the interface."""

    interface: Interface
    mtu: int = 1500
    carrier: bool = True
    loopback: bool = False
    master: str = ""
    """The bridge, bond or team that it is a member of."""
    master_kind: str = ""
    vlans: Mapping[str, int] = field(default_factory=dict)
    """VLAN interfaces on top of it, and their VLAN IDs."""
    tunnels: tuple[str, ...] = ()
    """GRE tunnels of this network namespace."""
    addresses: tuple[str, ...] = ()
    rp_filter: Fact[int] = 0
    """The stricter of the host's and the interface's: linux Documentation, ip-sysctl."""


@dataclass(frozen=True)
class Device:
    """What the driver reports by ethtool ioctls, and the NUMA node and interrupts from sysfs."""

    driver: Fact[ethtool.Driver] = None
    channels: Fact[ethtool.Channels] = None
    most_channels: Fact[ethtool.Channels] = None
    rings: Fact[ethtool.Rings] = None
    rss: Fact[Rss] = None
    hash_udp4: Fact[int] = None
    """RXH_ bits of ``ethtool_rss``: what the hash of UDP packets covers."""
    hash_udp6: Fact[int] = None
    rules: Fact[RuleTable] = None
    features: Fact[dict[str, Feature]] = None
    coalescing: Fact[ethtool.Coalescing] = None
    timestamping: Fact[ethtool.Timestamping] = None
    stamps: Fact[hwtstamp.Setting] = None
    node: Fact[int] = None
    """Its NUMA node."""
    interrupts: Fact[tuple[Interrupt, ...]] = ()

    @property
    def driver_name(self) -> str:
        """The driver's name, or nothing."""
        driver = value_of(self.driver)
        return driver.name if driver else ""

    def has(self, feature: str) -> bool:
        """Whether an offload is known to be on."""
        found = (value_of(self.features) or {}).get(feature)
        return found is not None and found.on


def interfaces() -> list[str]:
    """The interfaces of this network namespace that look like physical devices or, if there are
    none (as in most namespaces), all except the loopback.
    """
    with IPRoute() as ipr:
        links = [link for link in ipr.get_links() if not link["flags"] & IFF_LOOPBACK]
    names = [(str(link.get_attr("IFLA_IFNAME")), from_link(link).kind) for link in links]
    devices = [name for name, kind in names if not kind]
    return devices or [name for name, _ in names]


def link(name: str) -> tuple[Link, Any]:
    """The interface, and the netlink message about it. Raises NicError if there is none."""
    with IPRoute() as ipr:
        links = {str(each.get_attr("IFLA_IFNAME")): each for each in ipr.get_links()}
        if name not in links:
            present = ", ".join(sorted(links))
            raise NicError(
                f"interface {name!r} is not in this network namespace: name one of {present}, or "
                f"run 'ip netns exec NAME xdpkit doctor {name}'"
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
        rp_filter=read_fact(_rp_filter, name),
    ), message


def _rp_filter(name: str) -> int:
    return max(read_number(_RP_FILTER / each / "rp_filter") for each in ("all", name))


def _vlans(links: Mapping[str, Any], parent: int) -> Iterator[tuple[str, int]]:
    for name, each in links.items():
        info = each.get_attr("IFLA_LINKINFO")
        if each.get_attr("IFLA_LINK") != parent or info is None:
            continue
        data = info.get_attr("IFLA_INFO_DATA")
        if info.get_attr("IFLA_INFO_KIND") == "vlan" and data is not None:
            yield name, int(data.get_attr("IFLA_VLAN_ID") or 0)


def _is_gre(message: Any) -> bool:
    """Tunnels that are up: the kernel's fallback interface, gre0, is one in name only."""
    kind = from_link(message).kind
    return kind.removeprefix("ip6") in ("gre", "gretap") and message["state"] == "up"


def device(interface: Interface) -> Device:
    """Queries the driver of an interface of this network namespace."""
    name = interface.name
    channels = read_fact(ethtool.channels, name)
    now, most = channels if isinstance(channels, tuple) else (channels, channels)
    files = sysfs(interface)
    return Device(
        driver=read_fact(ethtool.driver, name),
        channels=now,
        most_channels=most,
        rings=read_fact(ethtool.rings, name),
        rss=read_fact(ethtool_rss.read, name),
        hash_udp4=read_fact(ethtool_rss.hash_fields, name, UDP_V4_FLOW),
        hash_udp6=read_fact(ethtool_rss.hash_fields, name, UDP_V6_FLOW),
        rules=read_fact(ethtool_rxnfc.read, name),
        features=read_fact(_features, name),
        coalescing=read_fact(ethtool.coalescing, name),
        timestamping=read_fact(ethtool.timestamping, name),
        stamps=read_fact(hwtstamp.read, name),
        node=files if isinstance(files, Unknown) else read_fact(numa_node, files),
        interrupts=files if isinstance(files, Unknown) else read_fact(interrupts, files),
    )


def _features(name: str) -> dict[str, Feature]:
    """The features, without bits that have no name."""
    found = ethtool_features.features(name)
    return {feature: state for feature, state in found.items() if feature}


def sysfs(interface: Interface, root: Path = _SYSFS) -> Path | Unknown:
    """The interface's sysfs directory; /sys may have been mounted in another network namespace."""
    path = root / interface.name
    if read_fact(read_number, path / "ifindex") == interface.index:
        return path
    return Unknown(
        "/sys is that of another network namespace: 'ip netns exec' mounts the right one"
    )


def numa_node(path: Path) -> int | None:
    """The NUMA node of the device or, as virtio devices have none, of its parent."""
    for each in devices(path):
        if (each / "numa_node").exists():
            node = read_number(each / "numa_node")
            return None if node < 0 else node
    return None
