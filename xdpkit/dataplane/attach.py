"""Loads and attaches the XDP program for the receive stamps of the NIC, of XDP, or of the loop.

    rx_timestamps   program                                    the NIC's stamps
    auto            bound to the interface if its driver       turned on if possible
                    offers stamps, else the plain one
    hardware        bound, or an error                         turned on, or an error
    xdp             plain                                      unchanged
    loop            plain, and no metadata                     unchanged

A bound program, which may read the NIC's stamps, attaches natively only, so generic mode uses the
plain one. Frames without a usable NIC stamp (a stamp of 0, no mapping of the clock) fall back to
the XDP program's own, one by one (cext/xdp/worker.h, clock_arrival).
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from dataclasses import dataclass, field

from xdpkit._core import _bpf
from xdpkit.bpf import link, loader
from xdpkit.config import InterfaceConfig
from xdpkit.dataplane import forms
from xdpkit.errors import AttachError, StampError
from xdpkit.nic.os.interface import Interface
from xdpkit.nic.setup.apply import Changes
from xdpkit.nic.setup.hardware_stamps import HardwareStamps


@dataclass
class Attached:
    """The program on its interface, native or generic; ``hardware`` if the NIC's stamps are on.

    ``bound`` if only a program that is bound to the interface may replace it; ``notes`` says what
    is missing compared to the best mode.
    """

    program: loader.Program
    link_fd: int
    mode: str
    hardware: HardwareStamps | None = None
    bound: bool = False
    notes: list[str] = field(default_factory=list)

    def update(self) -> None:
        """Puts the program into its link, in place of another process's. Raises OSError.

        A link that someone detached does not accept one: ``DataPlane.reattach`` fixes that.
        """
        try:
            _bpf.link_update(self.link_fd, self.program.fd)
        except OSError as error:
            if error.errno != errno.ENOLINK:
                raise

    def attach_again(self, interface: Interface) -> None:
        """Attaches by a new link after someone detached the old one.

        A native attachment stays native, or fails. Raises AttachError.
        """
        mode = "generic" if self.mode == "generic" else "copy"
        link_fd, _, _ = link.attach(self.program, interface, mode)
        self.detach()
        self.link_fd = link_fd

    def detach(self) -> None:
        """Detaches the program; all frames go to the kernel from then on."""
        if self.link_fd >= 0:
            os.close(self.link_fd)
            self.link_fd = -1

    def release(self) -> None:
        """Lets go of it: another process owns the link, and the NIC's stamps, from now on."""
        self.hardware = None
        self.close()

    def close(self) -> None:
        """Detaches and closes the program; the NIC's stamps are undone with its other changes."""
        self.detach()
        self.program.close()
        if self.hardware:
            self.hardware.close()


def attach(
    config: InterfaceConfig,
    interface: Interface,
    changes: Changes,
    begun: loader.Loading | None = None,
) -> Attached:
    """Loads and attaches the best program for ``rx_timestamps``; undoes everything on failure.

    What ``begun`` loads is not loaded once more. What it changes on the NIC is recorded in
    ``changes``. Raises BpfError, AttachError, and StampError if "hardware" is required and not
    available.
    """
    if interface.xdp_program is not None:
        raise link.foreign_program(interface)
    required = config.rx_timestamps == "hardware"
    notes = []
    if forms.wants_stamps(config):
        offered = forms.offered(interface.index)
        try:
            return _attach_bound(config, interface, changes, offered, begun)
        except (StampError, AttachError) as error:
            if required:
                raise StampError(
                    f'rx_timestamps = "hardware": {error}; "auto" uses the best available'
                ) from error
            # A failure is only worth a note if the driver offers stamps.
            if offered:
                notes.append(_fallback_note(error))
    program = _load(config, interface, False, begun)
    try:
        link_fd, mode, note = link.attach(program, interface, config.mode)
    except BaseException:
        program.close()
        raise
    return Attached(program, link_fd, mode, notes=[*notes, *([note] if note else [])])


def take_over(
    config: InterfaceConfig,
    interface: Interface,
    link_fd: int,
    bound: bool,
    mode: str,
    begun: loader.Loading | None = None,
) -> Attached:
    """A program for a link that another process attached, in the same ``mode``.

    ``update`` puts it into the link later. Owns ``link_fd``. Raises BpfError, StampError.
    """
    return Attached(_load(config, interface, bound, begun), link_fd, mode, bound=bound)


def _load(
    config: InterfaceConfig, interface: Interface, bound: bool, begun: loader.Loading | None
) -> loader.Program:
    name, macros, ifindex = wanted = forms.wanted(config, interface.index, bound)
    if begun is not None and begun.wanted == wanted:
        return begun.finish()
    return loader.load(name, *macros, ifindex=ifindex)


def _attach_bound(
    config: InterfaceConfig,
    interface: Interface,
    changes: Changes,
    offered: bool | None,
    begun: loader.Loading | None,
) -> Attached:
    """Attaches a program that reads the NIC's stamps, and turns them on if possible or required."""
    if offered is False:
        raise StampError(f"the driver of {interface.name} offers XDP no hardware receive stamps")
    with ExitStack() as undo:
        program = _load(config, interface, True, begun)
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
                notes.append(_fallback_note(error))
        link_fd = link.attach_native(program, interface)
        if link_fd is None:
            raise StampError(f"the driver of {interface.name} has no native XDP")
        undo.pop_all()
    return Attached(program, link_fd, "native", hardware, bound=True, notes=notes)


def _fallback_note(error: Exception) -> str:
    return f"receive times are the XDP program's: {error}"
