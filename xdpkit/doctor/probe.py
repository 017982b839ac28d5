"""All facts about an interface and its machine, read without changing anything."""

from __future__ import annotations

from dataclasses import dataclass

from xdpkit.doctor import probe_host, probe_kernel, probe_link, probe_xdp
from xdpkit.doctor.probe_host import Host
from xdpkit.doctor.probe_kernel import Kernel, Privileges
from xdpkit.doctor.probe_link import Device, Link
from xdpkit.doctor.probe_xdp import Xdp


@dataclass(frozen=True)
class Machine:
    """What is the same for all interfaces."""

    kernel: Kernel
    privileges: Privileges
    host: Host


@dataclass(frozen=True)
class Facts:
    """What there is. None: driver or kernel do not have that. ``Unknown`` says why not."""

    link: Link
    device: Device
    xdp: Xdp
    kernel: Kernel
    privileges: Privileges
    host: Host


def machine(ports: tuple[int, ...]) -> Machine:
    """Reads it; of the sockets there are, those on ``ports``."""
    return Machine(
        kernel=probe_kernel.kernel(),
        privileges=probe_kernel.privileges(),
        host=probe_host.host(ports),
    )


def interface(name: str, machine: Machine) -> Facts:
    """The facts about one interface. Raises NicError where it is not there."""
    link, message = probe_link.link(name)
    return Facts(
        link=link,
        device=probe_link.device(link.interface),
        xdp=probe_xdp.xdp(name, link.interface.index, message),
        kernel=machine.kernel,
        privileges=machine.privileges,
        host=machine.host,
    )
