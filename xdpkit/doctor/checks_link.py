"""What is to be said of the interface: link, addresses, VLANs, MTU, offloads."""

from __future__ import annotations

from collections.abc import Iterator

from xdpkit.doctor.driver_support import MTU_SOURCE, SUPPORT
from xdpkit.doctor.finding import (
    Check,
    Finding,
    Wanted,
    called,
    driver_of,
    guest_offloads_fixed,
    has_native,
    listed,
)
from xdpkit.doctor.probe import Facts
from xdpkit.nic.fact import known
from xdpkit.nic.setup import plan

# Below it no driver of quirks.SUPPORT depends on the kernel's configuration.
SAFE_MTU = 3000

_OFFLOADS = (
    "https://github.com/firedancer-io/firedancer/blob/main/src/app/shared/commands/configure/"
    "ethtool-offloads.c"
)


def _up(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    name = called(facts)
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
            "nothing is received until the cable or the other end is there",
            f"ethtool {name}",
        )


def _addresses(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    name = called(facts)
    if not facts.link.addresses and not wanted.addresses:
        yield Finding(
            "no-address",
            "costs",
            f"{name} has no address",
            "no request is ours until it has one, or [interface] addresses names some",
            f"ip address add ADDR/LENGTH dev {name}",
        )
    for served in wanted.addresses:
        if not served.outer and str(served.address) not in facts.link.addresses:
            length = 32 if served.address.version == 4 else 128
            yield Finding(
                "address-elsewhere",
                "costs",
                f"{served.address} is not an address of {name}",
                "the kernel answers no ARP or neighbour solicitation for it there",
                f"ip address add {served.address}/{length} dev {name}",
            )


def _membership(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    """What ``nic.interface.check_place`` refuses is in the way; bonds are a quirk of theirs."""
    link = facts.link
    if not link.master:
        return
    has_addresses = bool(link.addresses or wanted.addresses)
    yield Finding(
        "member",
        "note" if has_addresses else "blocks",
        f"{called(facts)} is a member of {link.master} ({link.master_kind})",
        f"the addresses are {link.master}'s: [interface] addresses has to name those to serve"
        if not has_addresses
        else f"the host's addresses may be {link.master}'s: [interface] addresses names those",
        f"ip address show dev {link.master}",
    )


def _vlans(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    tags = {served.outer for served in wanted.addresses if served.outer}
    tags |= set(facts.link.vlans.values()) if not wanted.addresses else set()
    for feature in plan.UNTAGGING if tags else ():
        yield from _offload(
            facts,
            feature,
            f"the NIC takes tags off frames (VLAN {listed(sorted(tags))} is there)",
            "the XDP program cannot tell them apart, and leaves them to the kernel",
            "https://www.knot-dns.cz/docs/latest/html/operation.html#mode-xdp",
        )


def _mtu(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    support = SUPPORT.get(facts.device.driver_name)
    most = support.most_mtu if support else 0
    name, mtu = called(facts), facts.link.mtu
    if wanted.mode == "generic" or not most or not has_native(facts) or mtu <= min(most, SAFE_MTU):
        return
    near = mtu <= most
    yield Finding(
        "mtu-near" if near else "mtu",
        "note" if near else "blocks",
        f"the MTU is {mtu}, {driver_of(facts)} takes XDP programs up to about {most}",
        "the exact limit is the kernel's: a start may be refused"
        if near
        else 'it refuses the program, unless mode = "generic"',
        f"ip link set dev {name} mtu {min(most, SAFE_MTU)}",
        MTU_SOURCE,
    )


def _offloads(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    for feature, why in plan.MERGING.items():
        if feature == "rx-gro-hw" and guest_offloads_fixed(facts):
            continue
        yield from _offload(facts, feature, f"offload {feature} is on", why, _OFFLOADS)
    if facts.link.tunnels and facts.device.has("tx-gre-segmentation"):
        name = called(facts)
        yield Finding(
            "gre-segmentation",
            "note",
            f"the NIC cuts packets of GRE tunnels up ({', '.join(facts.link.tunnels)})",
            "with some NICs they were seen to leave corrupted while XDP is in use",
            f"ethtool -K {name} tx-gre-segmentation off",
            _OFFLOADS,
        )


def _offload(
    facts: Facts, feature: str, what: str, consequence: str, source: str
) -> Iterator[Finding]:
    """Of one that is on: ``xdpkit run`` turns it off (``nic.plan``) where that can be done."""
    name = called(facts)
    found = (known(facts.device.features) or {}).get(feature)
    if found is None or not found.on:
        return
    if found.changeable:
        consequence += "; xdpkit run turns it off, and on again at its end"
    else:
        consequence += "; the driver does not let it be turned off"
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
