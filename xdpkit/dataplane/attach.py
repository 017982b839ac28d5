"""Which receive times are had: those of the NIC, of the XDP program, or of the loop alone.

    rx_timestamps   program                                    the NIC's stamps
    auto            bound to the interface where its driver    turned on where they can be
                    offers stamps, else the plain one
    hardware        bound, or an error                         turned on, or an error
    xdp             plain                                      left alone
    loop            plain, and no metadata                     left alone

A program that may ask for the NIC's stamps attaches natively only, so generic mode has the plain
one. What a bound program leaves out (a stamp of 0, no map of the clock) the XDP program's own stamp
makes up for, frame by frame (cext/xdp/worker.h, clock_arrival).
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from dataclasses import dataclass, field

from xdpkit._core import _bpf
from xdpkit.bpf import link, loader
from xdpkit.config import InterfaceConfig
from xdpkit.errors import AttachError, StampError
from xdpkit.nic.os import netdev
from xdpkit.nic.os.interface import Interface
from xdpkit.nic.setup.apply import Changes
from xdpkit.nic.setup.hardware_stamps import HardwareStamps


@dataclass
class Attached:
    """The program on its interface, native or generic; ``hardware`` where the NIC's stamps are on.

    ``bound`` where only a program that is bound to the interface may take its place; ``notes`` says
    where it is less than could be had.
    """

    program: loader.Program
    link_fd: int
    mode: str
    hardware: HardwareStamps | None = None
    bound: bool = False
    notes: list[str] = field(default_factory=list)

    def update(self) -> None:
        """Puts the program into its link, which another process's was in. Raises OSError.

        A link that somebody has detached takes none: that is ``DataPlane.reattach``'s to mend.
        """
        try:
            _bpf.link_update(self.link_fd, self.program.fd)
        except OSError as error:
            if error.errno != errno.ENOLINK:
                raise

    def attach_again(self, interface: Interface) -> None:
        """Attaches by a link of its own where somebody detached the one that was.

        Natively or not at all where it was so. Raises AttachError.
        """
        mode = "generic" if self.mode == "generic" else "copy"
        link_fd, _, _ = link.attach(self.program, interface, mode)
        self.detach()
        self.link_fd = link_fd

    def detach(self) -> None:
        """Takes the program off; frames are the kernel's from then on."""
        if self.link_fd >= 0:
            os.close(self.link_fd)
            self.link_fd = -1

    def leave(self) -> None:
        """Forgets it; another process has the link, and the NIC's stamps, from now on."""
        self.hardware = None
        self.close()

    def close(self) -> None:
        """Takes it off and forgets it; the NIC's stamps end with its other changes."""
        self.detach()
        self.program.close()
        if self.hardware:
            self.hardware.close()


def attach(config: InterfaceConfig, interface: Interface, changes: Changes) -> Attached:
    """Loads and attaches the best program for ``rx_timestamps``; whatever fails is undone.

    What is changed on the NIC for it goes into ``changes``.

    Raises BpfError, AttachError, and StampError where "hardware" cannot be had.
    """
    if interface.xdp_program is not None:
        raise link.foreign_program(interface)
    must = config.rx_timestamps == "hardware"
    notes = []
    if must or (config.rx_timestamps == "auto" and config.mode != "generic"):
        offered = _offered(interface)
        try:
            return _attach_bound(config, interface, changes, offered)
        except (StampError, AttachError) as error:
            if must:
                raise StampError(
                    f'rx_timestamps = "hardware": {error}; "auto" takes the best that there is'
                ) from error
            # What the driver never said it had was worth a try, and is not worth a word.
            if offered:
                notes.append(_instead(error))
    program = _load(config, interface, bound=False)
    try:
        link_fd, mode, note = link.attach(program, interface, config.mode)
    except BaseException:
        program.close()
        raise
    return Attached(program, link_fd, mode, notes=[*notes, *([note] if note else [])])


def inherit(
    config: InterfaceConfig, interface: Interface, link_fd: int, bound: bool, mode: str
) -> Attached:
    """A program for a link that another process attached, in the same ``mode``.

    The link gets it later. ``link_fd`` is owned by what is returned. Raises BpfError, StampError.
    """
    return Attached(_load(config, interface, bound), link_fd, mode, bound=bound)


def _load(config: InterfaceConfig, interface: Interface, bound: bool) -> loader.Program:
    """The program that asks for the NIC's stamps, or the plain one."""
    if bound:
        return loader.load("steer", "STEER_RX_TIMESTAMP", ifindex=interface.index)
    macros = ("STEER_NO_METADATA",) if config.rx_timestamps == "loop" else ()
    return loader.load("steer", *macros)


def _attach_bound(
    config: InterfaceConfig, interface: Interface, changes: Changes, offered: bool | None
) -> Attached:
    """With a program that asks for the NIC's stamps; these are turned on, or must be."""
    if offered is False:
        raise StampError(f"the driver of {interface.name} gives XDP no stamps of its hardware")
    with ExitStack() as undo:
        program = _load(config, interface, bound=True)
        undo.callback(program.close)
        hardware, notes = None, []
        try:
            hardware = HardwareStamps(changes)
            undo.callback(hardware.give_up)
            notes.append(hardware.describe())
        except StampError as error:
            if config.rx_timestamps == "hardware":
                raise
            if offered:
                notes.append(_instead(error))
        link_fd = link.attach_native(program, interface)
        if link_fd is None:
            raise StampError(f"the driver of {interface.name} has no native XDP")
        undo.pop_all()
    return Attached(program, link_fd, "native", hardware, bound=True, notes=notes)


def _offered(interface: Interface) -> bool | None:
    try:
        return netdev.offers_rx_timestamp(interface.index)
    except OSError:
        return None


def _instead(error: Exception) -> str:
    return f"receive times are the XDP program's: {error}"
