"""What XDP can do on the interface, and which programs are there. Read only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from xdpkit._core import _bpf
from xdpkit.control import client as control_client
from xdpkit.doctor.probe_host import Process, processes
from xdpkit.errors import ControlError
from xdpkit.nic.fact import Fact, Unknown, look, text
from xdpkit.nic.os import netdev
from xdpkit.nic.setup import journal

# Attribute of an RTM_NEWLINK message and mode (linux/if_link.h, IFLA_XDP_*_PROG_ID).
_MODES = {
    "IFLA_XDP_DRV_PROG_ID": "native",
    "IFLA_XDP_SKB_PROG_ID": "generic",
    "IFLA_XDP_HW_PROG_ID": "offloaded",
}


_UNTOLD = Unknown("a kernel before 6.3 does not tell; the mode is guessed by the driver's name")


@dataclass(frozen=True)
class Program:
    """An XDP program on the interface; ``owners`` are those that hold it or its link open."""

    id: int
    mode: str
    name: Fact[str]
    owners: tuple[Process, ...] = ()
    link: bool = False
    """Attached by a bpf_link that somebody holds: it goes with its owner, and only with it."""


@dataclass(frozen=True)
class Xdp:
    """The facts."""

    features: Fact[netdev.Features] = None
    programs: tuple[Program, ...] = ()
    serving: Fact[Process] = None
    """The xdpkit that serves this interface."""
    journal: Fact[bool] = False
    """Whether there is a journal of changes: of that xdpkit, or of one that crashed."""


def xdp(name: str, index: int, message: Any) -> Xdp:
    """Reads them; ``message`` is netlink's of the link."""
    return Xdp(
        features=look(netdev.features, index) or _UNTOLD,
        programs=tuple(programs(message)),
        serving=_serving(name),
        journal=look(_has_journal, name),
    )


def programs(message: Any) -> Iterator[Program]:
    """The programs that an RTM_NEWLINK message names."""
    attached = message.get_attr("IFLA_XDP")
    if attached is None:
        return
    for attribute, mode in _MODES.items():
        if number := attached.get_attr(attribute):
            held = list(_holders(number))
            owners = tuple(dict.fromkeys(process for process, _ in held))
            link = any(link for _, link in held)
            yield Program(number, mode, look(_bpf.prog_name, number), owners, link)


def _holders(program: int) -> Iterator[tuple[Process, bool]]:
    """Who has the program open, and whether by a link; of processes that we may look into."""
    for process in processes():
        try:
            descriptors = list(os.scandir(f"/proc/{process.pid}/fdinfo"))
        except OSError:
            continue
        for descriptor in descriptors:
            said = look(text, descriptor.path)
            lines = said.splitlines() if isinstance(said, str) else []
            if f"prog_id:\t{program}" in lines:
                yield process, any(line.startswith("link_type:") for line in lines)


def _has_journal(name: str) -> bool:
    """Raises OSError where the directory is for root to see only."""
    try:
        journal.path_of(name).stat()
    except FileNotFoundError:
        return False
    return True


def _serving(name: str) -> Fact[Process]:
    try:
        if name not in control_client.instances():
            return None
        with control_client.connect(name) as connection:
            pid = control_client.peer(connection).pid
    except (ControlError, OSError) as error:
        return Unknown(str(error))
    return Process(pid, "xdpkit")
