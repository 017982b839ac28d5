"""Checks of the interface: link, addresses, VLANs, MTU, offloads."""

from __future__ import annotations

from collections.abc import Iterator

from xdpkit.doctor.driver_support import MTU_SOURCE, SUPPORT
from xdpkit.doctor.finding import (
    Check,
    Finding,
    Wanted,
    comma_separated,
    driver_of,
    guest_offloads_fixed,
    has_native,
    shell_name,
)
from xdpkit.doctor.probe import ProbeFacts
from xdpkit.nic.fact import value_of
from xdpkit.nic.setup import plan

# Below it, no driver in driver_support.SUPPORT depends on the kernel's configuration.
SAFE_MTU = 3000

_OFFLOADS = (
    "https://github.com/firedancer-io/firedancer/blob/main/src/app/shared/commands/configure/"
    "ethtool-offloads.c"
)


def _up(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    name = shell_name(facts)
    if not facts.link.interface.up:
        yield Finding(
            "down",
            "blocks",
            f"{name} is down",
            "nothing is received",
            f"ip link set dev {name} up",
        )
    elif not facts.link.carrier:
        yield Finding(
            "no-carrier",
            "costs",
            f"{name} has no carrier",
            "nothing is received until the cable is plugged in and the other end is up",
            f"ethtool {name}",
        )


def _addresses(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    name = shell_name(facts)
    if not facts.link.addresses and not wanted.addresses:
        yield Finding(
            "no-address",
            "costs",
            f"{name} has no address",
            "no requests are served until it has one, or [interface] addresses lists some",
            f"ip address add ADDR/LENGTH dev {name}",
        )
    for served in wanted.addresses:
        if not served.outer and str(served.address) not in facts.link.addresses:
            length = 32 if served.address.version == 4 else 128
            yield Finding(
                "address-elsewhere",
                "costs",
                f"{served.address} is not an address of {name}",
                "the kernel does not answer ARP or neighbor solicitations for it there",
                f"ip address add {served.address}/{length} dev {name}",
            )


def _membership(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    """Reports what ``interface.check_membership`` refuses; for bonds and teams see ``quirks``."""
    link = facts.link
    if not link.master:
        return
    has_addresses = bool(link.addresses or wanted.addresses)
    yield Finding(
        "member",
        "note" if has_addresses else "blocks",
        f"{shell_name(facts)} is a member of {link.master} ({link.master_kind})",
        f"the addresses are on {link.master}: set [interface] addresses to those to serve"
        if not has_addresses
        else f"more addresses may be on {link.master}: set [interface] addresses to serve those",
        f"ip address show dev {link.master}",
    )


def _vlans(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    tags = {served.outer for served in wanted.addresses if served.outer}
    tags |= set(facts.link.vlans.values()) if not wanted.addresses else set()
    listed_tags = comma_separated(sorted(tags))
    for feature in plan.UNTAGGING if tags else ():
        yield from _offload(
            facts,
            feature,
            f"the NIC strips VLAN tags from frames (VLAN {listed_tags} is in use)",
            "the XDP program cannot tell VLANs apart, and leaves their frames to the kernel",
            "https://www.knot-dns.cz/docs/latest/html/operation.html#mode-xdp",
        )


def _mtu(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    support = SUPPORT.get(facts.device.driver_name)
    most = support.most_mtu if support else 0
    name, mtu = shell_name(facts), facts.link.mtu
    if wanted.mode == "generic" or not most or not has_native(facts) or mtu <= min(most, SAFE_MTU):
        return
    near = mtu <= most
    yield Finding(
        "mtu-near" if near else "mtu",
        "note" if near else "blocks",
        f"the MTU is {mtu}, {driver_of(facts)} accepts XDP programs up to about {most}",
        "the exact limit depends on the kernel: a start may fail"
        if near
        else 'it rejects the program, unless mode = "generic"',
        f"ip link set dev {name} mtu {min(most, SAFE_MTU)}",
        MTU_SOURCE,
    )


def _offloads(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    for feature, why in plan.MERGING.items():
        if feature == "rx-gro-hw" and guest_offloads_fixed(facts):
            continue
        yield from _offload(facts, feature, f"offload {feature} is on", why, _OFFLOADS)
    if facts.link.tunnels and facts.device.has("tx-gre-segmentation"):
        name = shell_name(facts)
        yield Finding(
            "gre-segmentation",
            "note",
            f"the NIC segments packets of GRE tunnels ({', '.join(facts.link.tunnels)})",
            "some NICs were seen to corrupt them on transmit while XDP is in use",
            f"ethtool -K {name} tx-gre-segmentation off",
            _OFFLOADS,
        )


def _offload(
    facts: ProbeFacts, feature: str, what: str, consequence: str, source: str
) -> Iterator[Finding]:
    """Reports an offload that is on: ``xdpkit run`` turns it off (``plan.py``) where it can."""
    name = shell_name(facts)
    found = (value_of(facts.device.features) or {}).get(feature)
    if found is None or not found.on:
        return
    if found.changeable:
        consequence += "; xdpkit run turns it off, and back on when it exits"
    else:
        consequence += "; the driver does not allow turning it off"
    yield Finding(
        f"offload-{feature}",
        "note" if found.changeable else "costs",
        what,
        consequence,
        f"ethtool -K {name} {feature} off" if found.changeable else "",
        source,
    )


CHECKS = (
    Check(_up, "link"),
    Check(_addresses, "addresses"),
    Check(_membership),
    Check(_vlans, "VLAN tags", ("device.features",)),
    Check(_mtu, "MTU", (), has_native),
    Check(_offloads, "offloads", ("device.features",)),
)
