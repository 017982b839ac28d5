"""Reads all facts about an interface and its machine, without changing anything."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdpkit.doctor import probe_host, probe_kernel, probe_link, probe_policy, probe_xdp
from xdpkit.doctor.probe_host import Host
from xdpkit.doctor.probe_kernel import Kernel, Privileges
from xdpkit.doctor.probe_link import Device, Link
from xdpkit.doctor.probe_policy import Policy
from xdpkit.doctor.probe_xdp import Xdp


@dataclass(frozen=True)
class Machine:
    """The facts that all interfaces share."""

    kernel: Kernel
    privileges: Privileges
    host: Host
    policy: Policy


@dataclass(frozen=True)
class ProbeFacts:
    """All facts. None: not supported by driver or kernel. ``Unknown``: not readable, and why."""

    link: Link
    device: Device
    xdp: Xdp
    kernel: Kernel
    privileges: Privileges
    host: Host
    policy: Policy = field(default_factory=Policy)


def machine(ports: tuple[int, ...]) -> Machine:
    """Reads them; of the sockets only those on ``ports``."""
    return Machine(
        kernel=probe_kernel.kernel(),
        privileges=probe_kernel.privileges(),
        host=probe_host.host(ports),
        policy=probe_policy.policy(ports),
    )


def interface(name: str, machine: Machine) -> ProbeFacts:
    """Reads the facts about one interface. Raises NicError if it does not exist."""
    link, message = probe_link.link(name)
    return ProbeFacts(
        link=link,
        device=probe_link.device(link.interface),
        xdp=probe_xdp.xdp(name, link.interface.index, message),
        kernel=machine.kernel,
        privileges=machine.privileges,
        host=machine.host,
        policy=machine.policy,
    )
