"""Reads what XDP can do on the interface, and which programs are attached."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from xdpkit._core import _bpf
from xdpkit.control import client as control_client
from xdpkit.control.trust import peer
from xdpkit.errors import ControlError
from xdpkit.nic.fact import Fact, Unknown, read_fact, read_text
from xdpkit.nic.os import netdev
from xdpkit.nic.os.port_holders import Process, processes
from xdpkit.nic.setup import journal

# Attribute of an RTM_NEWLINK message and mode (linux/if_link.h, IFLA_XDP_*_PROG_ID).
_MODES = {
    "IFLA_XDP_DRV_PROG_ID": "native",
    "IFLA_XDP_SKB_PROG_ID": "generic",
    "IFLA_XDP_HW_PROG_ID": "offloaded",
}


_NOT_REPORTED = Unknown("kernels before 6.3 do not report it; guessed from the driver's name")


@dataclass(frozen=True)
class Program:
    """An XDP program on the interface; ``owners`` are the processes that hold it or its link."""

    id: int
    mode: str
    name: Fact[str]
    owners: tuple[Process, ...] = ()
    link: bool = False
    """Attached by a bpf_link that a process holds: detached when, and only when, it exits."""


@dataclass(frozen=True)
class Xdp:
    """The facts about XDP on the interface."""

    features: Fact[netdev.Features] = None
    programs: tuple[Program, ...] = ()
    serving: Fact[Process] = None
    """The xdpkit that serves this interface."""
    journal: Fact[bool] = False
    """Whether there is a journal of changes, by that xdpkit or by one that crashed."""


def xdp(name: str, index: int, message: Any) -> Xdp:
    """Reads them; ``message`` is the netlink message about the link."""
    return Xdp(
        features=read_fact(netdev.features, index) or _NOT_REPORTED,
        programs=tuple(programs(message)),
        serving=_serving(name),
        journal=read_fact(_has_journal, index),
    )


def programs(message: Any) -> Iterator[Program]:
    """The programs listed in an RTM_NEWLINK message."""
    attached = message.get_attr("IFLA_XDP")
    if attached is None:
        return
    for attribute, mode in _MODES.items():
        if number := attached.get_attr(attribute):
            held = list(_holders(number))
            owners = tuple(dict.fromkeys(process for process, _ in held))
            link = any(link for _, link in held)
            yield Program(number, mode, read_fact(_bpf.prog_name, number), owners, link)


def _holders(program: int) -> Iterator[tuple[Process, bool]]:
    """Processes that hold the program, and whether by a link; only those that we may inspect."""
    for process in processes():
        try:
            descriptors = list(os.scandir(f"/proc/{process.pid}/fdinfo"))
        except OSError:
            continue
        for descriptor in descriptors:
            info = read_fact(read_text, descriptor.path)
            lines = info.splitlines() if isinstance(info, str) else []
            if f"prog_id:\t{program}" in lines:
                yield process, any(line.startswith("link_type:") for line in lines)


def _has_journal(index: int) -> bool:
    """Raises OSError if only root may search the directory."""
    try:
        journal.path_of(index).stat()
    except FileNotFoundError:
        return False
    return True


def _serving(name: str) -> Fact[Process]:
    try:
        if name not in control_client.instances():
            return None
        with control_client.connect_instance(name) as connection:
            pid = peer(connection).pid
    except (ControlError, OSError) as error:
        return Unknown(str(error))
    return Process(pid, "xdpkit")
