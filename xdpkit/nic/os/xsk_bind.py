"""Creates and binds AF_XDP sockets, and explains their errnos."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

from xdpkit._core._limits import UMEM_BYTES
from xdpkit._core._xsk import XskError, XskSocket
from xdpkit.config import InterfaceConfig
from xdpkit.errors import BindError, NicError, QueueError
from xdpkit.nic.os.interface import Interface
from xdpkit.runtime.capability import Capability
from xdpkit.runtime.privileges import raise_memlock
from xdpkit.runtime.reasons import failed

# In the unit of ulimit -l.
UMEM_KIB = UMEM_BYTES // 1024


def bind(
    interface: Interface,
    queue: int,
    config: InterfaceConfig,
    attached: str,
    notes: list[str],
    tx_metadata: int = 0,
) -> XskSocket:
    """Binds to a queue: zero-copy where mode and driver allow it, else copy mode with a note.

    ``tx_metadata`` is the number of bytes the socket reserves for the kernel's TX metadata.
    """
    raise_memlock()
    socket = partial(
        XskSocket,
        interface.index,
        queue,
        busy_poll=config.poll == "busy",
        tx_metadata=tx_metadata,
    )
    if attached == "native" and config.mode in ("auto", "zerocopy"):
        try:
            return socket(zerocopy=True)
        except XskError as error:
            if config.mode == "zerocopy" or not _is_of_zerocopy(error):
                raise bind_error(interface, queue, error, zerocopy=True) from error
            note = f"{_why_copy(interface.name, error)}: using copy mode"
            if note not in notes:
                notes.append(note)
    check_transmit_queue(interface.name, queue)
    try:
        return socket()
    except XskError as error:
        raise bind_error(interface, queue, error) from error


def _is_of_zerocopy(error: XskError) -> bool:
    """Whether copy mode may succeed where a zero-copy socket failed.

    Drivers refuse with more than EOPNOTSUPP: virtio_net without VIRTIO_F_ACCESS_PLATFORM gives
    EINVAL (virtnet_xsk_pool_enable() in drivers/net/virtio_net.c). Copy mode tells a queue that is
    not there, whose errno is the same.
    """
    same = (errno.EBUSY, errno.ENETDOWN, errno.ENODEV)
    return error.step == "bind" and error.errno not in same


def _why_copy(name: str, error: XskError) -> str:
    if error.errno in (errno.EOPNOTSUPP, errno.ENOTSUP):
        return f"the driver of {name} does not support zero-copy"
    return f"the driver of {name} rejected zero-copy ({os.strerror(error.errno or 0)})"


def check_transmit_queue(name: str, queue: int) -> None:
    """Raises QueueError if replies of an RX queue would never be sent in copy mode.

    They leave on the TX queue of the same number. virtio_net enables RX queues for XDP, but not the
    matching TX queues for anyone else: packets sent there stay in the ring, without an error.
    """
    used = len(list(Path(f"/sys/class/net/{name}/queues").glob("tx-*")))
    if 0 < used <= queue:
        raise QueueError(
            f"{name} has {used} TX queues, so replies of RX queue {queue} would not leave: "
            f"raise N in 'ethtool -L {name} combined N', or choose a queue below {used}"
        )


def bind_error(
    interface: Interface, queue: int, error: XskError, zerocopy: bool = False
) -> NicError:
    """What an AF_XDP system call's errno means to the operator: only what is known of it."""
    name = interface.name
    number = error.errno or 0
    if error.step == "socket" and number == errno.EAFNOSUPPORT:
        return BindError("this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)")
    if error.step == "umem" and number == errno.ENOBUFS:
        limit = raise_memlock() // 1024
        return BindError(
            f"too little locked memory for queue {queue}: each queue needs {UMEM_KIB} KiB, the "
            f"limit is {limit} KiB; raise it (ulimit -l, or LimitMEMLOCK=infinity in the unit) or "
            f"grant CAP_IPC_LOCK"
        )
    if error.step == "bind" and (known := _known_at_bind(name, queue, number, zerocopy)):
        return known
    needs = [Capability.NET_RAW] if error.step == "socket" else []
    where = f"{name} queue {queue}: AF_XDP {error.step}"
    return BindError(failed(where, number, *needs))


def _known_at_bind(name: str, queue: int, number: int, zerocopy: bool) -> NicError | None:
    """What an errno of bind(2) can only mean; None for the others."""
    if number == errno.EBUSY:
        return QueueError(
            f"queue {queue} of {name} is in use by another AF_XDP socket: stop that program "
            f"('ss --xdp -p' shows it), or choose another queue"
        )
    enabled = len(list(Path(f"/sys/class/net/{name}/queues").glob("rx-*")))
    if number == errno.EINVAL and 0 < enabled <= queue:
        return QueueError(
            f"{name} does not have RX queue {queue} enabled: 'ethtool -l {name}' shows how many are"
        )
    if number == errno.ENETDOWN:
        return BindError(f"{name} is down: ip link set dev {name} up")
    if number == errno.ENODEV:
        return BindError(f"{name} is gone")
    if zerocopy and number in (errno.EOPNOTSUPP, errno.ENOTSUP):
        return BindError(
            f'the driver of {name} does not support zero-copy: set mode = "auto" or "copy"'
        )
    if zerocopy:
        return BindError(
            f"the driver of {name} rejected zero-copy on queue {queue} ({os.strerror(number)}): "
            'mode = "copy" does without'
        )
    return None
