"""Attaches the XDP program to an interface by a bpf_link, and explains why when it cannot."""

from __future__ import annotations

import errno
import os

from xdpkit._core import _bpf
from xdpkit.bpf.loader import Program
from xdpkit.errors import AttachError
from xdpkit.nic.os import xdp_refusal
from xdpkit.nic.os.interface import Interface
from xdpkit.runtime.capability import Capability
from xdpkit.runtime.reasons import failed


def attach(program: Program, interface: Interface, mode: str) -> tuple[int, str, str | None]:
    """Attaches natively, or in generic mode when ``mode`` is "generic" or "auto" falls back to it.

    Returns ``(link descriptor, "native" or "generic", why it fell back or None)``; the program
    stays attached while the descriptor is open. Raises AttachError, also for another owner's
    program, which it names and leaves alone.
    """
    if interface.xdp_program is not None:
        raise foreign_program(interface)
    if mode == "generic":
        return _attach_generic(program, interface), "generic", None
    fd = attach_native(program, interface)
    if fd is not None:
        return fd, "native", None
    reason = f"the driver of {interface.name} has no native XDP"
    if mode != "auto":
        raise AttachError(
            f'{reason}, and mode = "{mode}" requires it: set mode = "auto" or "generic"'
        )
    return _attach_generic(program, interface), "generic", reason


def attach_native(program: Program, interface: Interface) -> int | None:
    """The link's descriptor, or None when the driver has no native XDP. Raises AttachError."""
    try:
        fd: int = _bpf.link_create(program.fd, interface.index, _bpf.DRV_MODE)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return None
        raise _refused(program, interface, error, _bpf.DRV_MODE) from error
    return fd


def _attach_generic(program: Program, interface: Interface) -> int:
    try:
        fd: int = _bpf.link_create(program.fd, interface.index, _bpf.SKB_MODE)
    except OSError as error:
        raise _refused(program, interface, error, _bpf.SKB_MODE) from error
    return fd


def _refused(program: Program, interface: Interface, error: OSError, mode: int) -> AttachError:
    """What is known: the kernel's or the driver's words, if they have any, or what is missing."""
    name, number = interface.name, error.errno or 0
    if number in (errno.EPERM, errno.EACCES):
        what = f"the XDP program could not be attached to {name}: bpf(BPF_LINK_CREATE)"
        return AttachError(failed(what, number, Capability.NET_ADMIN, Capability.BPF))
    said = xdp_refusal.words(interface.index, program.fd, mode)
    taken = number in (errno.EBUSY, errno.EEXIST) and xdp_refusal.has_program(interface.index)
    if taken:
        return AttachError(f"another XDP program is now on {name}: see 'ip link show dev {name}'")
    if mode == _bpf.SKB_MODE:
        reason = f": {said}" if said else ""
        return AttachError(
            f"the kernel rejected the XDP program on {name} in generic mode "
            f"({os.strerror(number)}){reason}"
        )
    fix = said or f"it gives no reason (journalctl -k may have one); 'ethtool -i {name}' names it"
    return AttachError(
        f"the driver of {name} rejected the XDP program ({os.strerror(number)}): {fix}; "
        'mode = "generic" works with any driver, but is slower'
    )


def foreign_program(interface: Interface) -> AttachError:
    """The error for an XDP program that is not ours, with its name and ID."""
    program_id = interface.xdp_program or 0
    try:
        name = _bpf.prog_name(program_id) or "unnamed"
    except OSError:
        name = "unnamed"
    return AttachError(
        f"XDP program '{name}' (id {program_id}) is already on {interface.name} and is not ours: "
        f"stop its owner, or 'ip link set dev {interface.name} xdp off' if nothing needs it"
    )
