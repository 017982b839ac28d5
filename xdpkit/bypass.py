"""The AF_XDP side of a running server: program, link, and for every queue a socket and a worker.

Opened in the order that loses nothing: attach (all frames pass), bind, start the workers, put the
sockets into the XSKMAP, and only then the services into their map. Closed in the reverse order: no
frame is redirected to a socket that is being closed.
"""

from __future__ import annotations

import errno
import os
import resource
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from xdpkit.bpf import link, loader
from xdpkit.cext import _bpf
from xdpkit.cext._loop import Worker
from xdpkit.cext._snapshot import Publisher
from xdpkit.cext._stats import KEYS, SERVICES, VERDICT_END, VERDICT_SLOTS
from xdpkit.cext._xsk import XskError, XskSocket
from xdpkit.config import InterfaceConfig, ServedAddress
from xdpkit.errors import BindError, NicError, QueueError
from xdpkit.nic.interface import Interface

# How long a worker may take to answer what is on its ring before it is given up.
DRAIN_SECONDS = 1.0

# A UMEM (cext/xsk.h: 4096 chunks of 2048 bytes) in the unit of ulimit -l.
UMEM_KIB = 8192


@dataclass
class Queue:
    """One chosen RX queue."""

    number: int
    socket: XskSocket
    worker: Worker
    last_heartbeat: int = -1
    detached: bool = False


@dataclass
class Bypass:
    """What was obtained from the interface; ``notes`` says where it is less than asked for."""

    interface: Interface
    program: loader.Program
    link_fd: int
    mode: str
    queues: list[Queue] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    keys: dict[bytes, int] = field(default_factory=dict)

    @property
    def zerocopy(self) -> bool:
        return bool(self.queues) and all(queue.socket.zerocopy for queue in self.queues)

    def serve(self, addresses: Iterable[ServedAddress], ports: dict[str, int]) -> None:
        """Makes exactly these (tags, address, port) ours; what was served besides ends.

        Raises NicError when they are more than the map holds; then nothing has changed.
        """
        wanted = {
            steer_key(address, port): SERVICES[service]
            for address in addresses
            for service, port in ports.items()
        }
        if len(wanted) > KEYS:
            raise NicError(
                f"{len(wanted)} address and port pairs to serve, {KEYS} fit: list fewer addresses"
            )
        services = self.program.maps["services"]
        for key in self.keys.keys() - wanted.keys():
            _bpf.map_delete(services, key)
        for key in wanted.keys() - self.keys.keys():
            _bpf.map_update(services, key, struct.pack("=I", wanted[key]))
        self.keys = wanted

    def steer_counters(self, queue: int) -> list[int]:
        """What the XDP program counted on one RX queue, by verdict id, summed over the CPUs."""
        size = 8 * possible_cpus()
        counts = []
        for verdict in range(VERDICT_END):
            slot = struct.pack("=I", queue * VERDICT_SLOTS + verdict)
            raw = _bpf.map_lookup(self.program.maps["verdicts"], slot, size)
            counts.append(sum(struct.unpack(f"={size // 8}Q", raw)))
        return counts

    def check_heartbeats(self) -> list[int]:
        """Takes queues whose worker stands still off the XSKMAP, so that the kernel answers there.

        To be called less often than a worker's wait of one second; returns the queues newly lost.
        """
        lost = []
        for queue in self.queues:
            beat = queue.worker.counters()["heartbeat"]
            if beat == queue.last_heartbeat and not queue.detached:
                self._clear_slot(queue)
                lost.append(queue.number)
            queue.last_heartbeat = beat
        return lost

    def _clear_slot(self, queue: Queue) -> None:
        queue.detached = True
        _bpf.map_delete(self.program.maps["xsks"], struct.pack("=I", queue.number))

    async def close(self) -> None:
        """Hands all back to the kernel, lets the workers answer what they hold, and ends them.

        A worker that does not end within a second is left behind with its memory.
        """
        for queue in self.queues:
            if not queue.detached:
                self._clear_slot(queue)
        os.close(self.link_fd)
        for queue in self.queues:
            queue.worker.stop()
        with anyio.move_on_after(DRAIN_SECONDS):
            while not all(queue.worker.done for queue in self.queues):
                await anyio.sleep(0.005)
        for queue in self.queues:
            if queue.worker.done:
                queue.worker.join()
                queue.socket.close()
        self.program.close()


def possible_cpus() -> int:
    """CPUs that a per-CPU map has values for: the last in "0-7" or "0,2-7", and those before it."""
    text = Path("/sys/devices/system/cpu/possible").read_text("ascii")
    return int(text.strip().replace(",", "-").rsplit("-", 1)[-1]) + 1


def steer_key(served: ServedAddress, port: int) -> bytes:
    """struct steer_key of ``ebpf/steer.h``: port in network order, the rest in host order."""
    address = served.address.packed.ljust(16, b"\0")
    version = served.address.version
    tags = struct.pack("=HHH", served.outer, served.inner, version)
    return address + port.to_bytes(2, "big") + tags


def open_bypass(config: InterfaceConfig, interface: Interface, publisher: Publisher) -> Bypass:
    """Attaches, binds and starts; frames arrive once ``serve`` has been called.

    Raises BpfError, AttachError, QueueError or BindError; whatever was done before is undone.
    """
    check_queues(config, interface)
    if not interface.up:
        raise NicError(f"{interface.name} is down: ip link set dev {interface.name} up")
    program = loader.load("steer")
    try:
        link_fd, mode, note = link.attach(program, interface, config.mode)
    except BaseException:
        program.close()
        raise
    bypass = Bypass(interface, program, link_fd, mode, notes=[note] if note else [])
    cpus = sorted(os.sched_getaffinity(0))
    try:
        for position, number in enumerate(config.queues):
            socket = bind(interface, number, config, mode, bypass.notes)
            worker = Worker(socket, publisher, cpus[position % len(cpus)], config.poll == "busy")
            worker.start()
            bypass.queues.append(Queue(number, socket, worker))
            slot = struct.pack("=I", number)
            _bpf.map_update(program.maps["xsks"], slot, struct.pack("=I", socket.fileno()))
    except BaseException:
        for queue in bypass.queues:
            queue.worker.stop()
            queue.worker.join()
            queue.socket.close()
        os.close(link_fd)
        program.close()
        raise
    return bypass


def check_queues(config: InterfaceConfig, interface: Interface) -> None:
    """Raises QueueError for a queue that the interface cannot have."""
    for number in config.queues:
        if number >= interface.rx_queues:
            raise QueueError(
                f"{interface.name} has no RX queue {number}: it has {interface.rx_queues}, so set "
                f"[interface] queues within 0..{interface.rx_queues - 1}, or raise them with "
                f"'ethtool -L {interface.name}'"
            )


def bind(
    interface: Interface, queue: int, config: InterfaceConfig, attached: str, notes: list[str]
) -> XskSocket:
    """Binds to a queue: zero-copy where mode and driver allow it, else copy, and says so."""
    resource.setrlimit(resource.RLIMIT_MEMLOCK, raised_memlock())
    busy = config.poll == "busy"
    if attached == "native" and config.mode in ("auto", "zerocopy"):
        try:
            return XskSocket(interface.index, queue, zerocopy=True, busy_poll=busy)
        except XskError as error:
            unsupported = error.errno in (errno.EOPNOTSUPP, errno.ENOTSUP)
            if config.mode == "zerocopy" or not (error.step == "bind" and unsupported):
                raise bind_error(interface, queue, error) from error
            note = f"the driver of {interface.name} has no zero-copy: copying"
            if note not in notes:
                notes.append(note)
    try:
        return XskSocket(interface.index, queue, busy_poll=busy)
    except XskError as error:
        raise bind_error(interface, queue, error) from error


def raised_memlock() -> tuple[int, int]:
    """The locked-memory limit to set: none where we may, else as much as the hard limit gives."""
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if os.geteuid() != 0:
        return hard, hard
    infinity = resource.RLIM_INFINITY
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (infinity, infinity))
    except (ValueError, OSError):
        return hard, hard
    return infinity, infinity


def bind_error(interface: Interface, queue: int, error: XskError) -> NicError:
    """What an AF_XDP system call's errno means for the person at the terminal."""
    name = interface.name
    number = error.errno or 0
    if error.step == "socket" and number == errno.EAFNOSUPPORT:
        return BindError("this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)")
    if number in (errno.EPERM, errno.EACCES):
        return BindError("no permission for AF_XDP sockets: run as root, or with CAP_NET_RAW")
    if error.step == "umem" and number in (errno.ENOBUFS, errno.ENOMEM):
        limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] // 1024
        return BindError(
            f"too little locked memory for queue {queue}: {UMEM_KIB} KiB a queue are needed, the "
            f"limit is {limit} KiB; raise it (ulimit -l, or LimitMEMLOCK=infinity in the unit) or "
            f"grant CAP_IPC_LOCK"
        )
    if error.step == "bind" and number == errno.EBUSY:
        return QueueError(
            f"queue {queue} of {name} is taken by another AF_XDP socket: stop that program "
            f"('ss --xdp -p' shows it), or choose another queue"
        )
    if error.step == "bind" and number == errno.EINVAL:
        return QueueError(
            f"{name} does not use RX queue {queue} now: 'ethtool -l {name}' shows how many it does"
        )
    if error.step == "bind" and number in (errno.EOPNOTSUPP, errno.ENOTSUP):
        return BindError(f'the driver of {name} has no zero-copy: set mode = "auto" or "copy"')
    return BindError(f"{name} queue {queue}: {error.strerror}")
