"""The AF_XDP side of a running server: program, link, and for every queue a socket and a worker.

Opened in the order that loses nothing: attach (all frames pass), bind, start the workers, put the
sockets into the XSKMAP, and only then the services into their map. Closed in the reverse order: no
frame is redirected to a socket that is being closed.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from socket import if_indextoname
from typing import Any, Protocol

from xdpkit._core import _bpf
from xdpkit._core._loop import Worker
from xdpkit._core._snapshot import SharedSnapshot
from xdpkit._core._stats import KEYS, SERVICES, VERDICT_END, VERDICT_SLOTS
from xdpkit._core._thread_state import TX_METADATA_BYTES, ThreadState
from xdpkit._core._xsk import XskSocket
from xdpkit.bpf import loader
from xdpkit.config import DnsConfig, InterfaceConfig, NtpConfig, ServedAddress
from xdpkit.dataplane.attach import Attached, attach, inherit
from xdpkit.errors import AttachError, BindError, NicError, PrivilegeError, QueueError
from xdpkit.nic.os.interface import Interface
from xdpkit.nic.os.xsk_bind import bind
from xdpkit.nic.setup.apply import Changes
from xdpkit.nic.setup.hardware_stamps import HardwareStamps
from xdpkit.runtime.deadline import ShutdownDeadline
from xdpkit.runtime.heartbeat import Beat
from xdpkit.runtime.thread_state import new_thread_state
from xdpkit.services.ntp.tx_source import transmit_source


class HandedOver(Protocol):
    """What a data plane takes from a running instance; what is taken out is the taker's to close."""

    facts: Mapping[str, Any]
    sockets: dict[int, XskSocket]

    def take_link(self) -> int: ...


@dataclass
class Queue:
    """One chosen RX queue."""

    number: int
    socket: XskSocket
    worker: Worker
    beat: Beat = field(default_factory=Beat)
    detached: bool = True
    """Not in the XSKMAP: the kernel has the queue's frames."""
    inherited: bool = False
    """Another process's worker still serves it."""


@dataclass
class DataPlane:
    """What was obtained from the interface; ``notes`` says where it is less than asked for."""

    interface: Interface
    attached: Attached
    config: InterfaceConfig
    ntp: NtpConfig | None
    shared: SharedSnapshot
    queues: list[Queue] = field(default_factory=list)
    keys: dict[bytes, int] = field(default_factory=dict)
    off: bool = False
    """Somebody took the program off the interface, and it could not be put back yet."""

    @property
    def program(self) -> loader.Program:
        return self.attached.program

    @property
    def mode(self) -> str:
        return self.attached.mode

    @property
    def notes(self) -> list[str]:
        return self.attached.notes

    @property
    def hardware(self) -> HardwareStamps | None:
        return self.attached.hardware

    @property
    def timestamps(self) -> str:
        """Where receive times come from, when all goes well."""
        return "hardware" if self.hardware else "loop" if self.own_clock else "xdp"

    @property
    def own_clock(self) -> bool:
        """Receive times are the loop's: ``rx_timestamps = "loop"``."""
        return self.config.rx_timestamps == "loop"

    @property
    def zerocopy(self) -> bool:
        return bool(self.queues) and all(queue.socket.zerocopy for queue in self.queues)

    def start_worker(self, socket: XskSocket, number: int, state: ThreadState) -> Worker:
        """A worker, not started, for the socket of a queue."""
        cpus = sorted(os.sched_getaffinity(0))
        worker = Worker(
            socket,
            self.shared,
            state,
            cpus[self.config.queues.index(number) % len(cpus)],
            self.config.poll == "busy",
            self.own_clock,
            transmit_source(self.ntp, self.interface.kind, socket.zerocopy),
        )
        worker.realtime(self.config.realtime)
        return worker

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
        try:
            for key in self.keys.keys() - wanted.keys():
                _bpf.map_delete(services, key)
                del self.keys[key]
            for key in wanted.keys() - self.keys.keys():
                _bpf.map_update(services, key, struct.pack("=I", wanted[key]))
                self.keys[key] = wanted[key]
        except OSError as error:
            raise NicError(
                f"the XDP program's table of services was not changed ({error.strerror}): the next "
                "change of addresses tries again"
            ) from error

    def steer_counters(self, queue: int) -> list[int]:
        """What the XDP program counted on one RX queue, by verdict id, summed over the CPUs."""
        size = 8 * possible_cpus()
        counts = []
        for verdict in range(VERDICT_END):
            slot = struct.pack("=I", queue * VERDICT_SLOTS + verdict)
            raw = _bpf.map_lookup(self.program.maps["verdicts"], slot, size)
            counts.append(sum(struct.unpack(f"={size // 8}Q", raw)))
        return counts

    def check_heartbeats(self) -> list[str]:
        """Takes a queue whose worker stands still off the XSKMAP: the kernel answers there then.

        To be called less often than a worker's wait of one second; returns what changed, by line.
        """
        said = []
        for queue in self.queues:
            queue.beat.look(queue.worker.counters()["heartbeat"])
            if queue.beat.stands_still and not queue.detached:
                self._clear_slot(queue)
                said.append(f"the worker of queue {queue.number} stands still: the kernel answers")
            elif queue.beat.turns and queue.detached:
                self._fill_slot(queue)
                said.append(f"the worker of queue {queue.number} turns again: AF_XDP answers")
        return said

    def take_from_dead(self) -> list[str]:
        """Takes queues whose worker is dead off the XSKMAP for good; returns which, by line."""
        said = []
        for queue in self.queues:
            if queue.worker.dead and not queue.detached:
                self._clear_slot(queue)
                said.append(
                    f"the worker of queue {queue.number} made a system call that it may not and is "
                    "dead (the kernel's log may show it, type=1326): the kernel answers"
                )
        return said

    def reattach(self) -> str | None:
        """Puts the program back where somebody took it off; returns what there is to say of it.

        Where that fails the kernel has all frames; what is in the way is said once.
        """
        if _bpf.link_attached(self.attached.link_fd) or self._is_gone():
            return None
        name = self.interface.name
        try:
            self.attached.attach_again(self.interface)
        except AttachError as error:
            first, self.off = not self.off, True
            who = "the kernel answers" if self.config.slow_path else "nobody answers"
            said = f"somebody took the XDP program off {name}, and {who}: {error}"
            return said if first else None
        was_off, self.off = self.off, False
        if was_off:
            return f"the XDP program is on {name} again: AF_XDP answers"
        return f"somebody took the XDP program off {name} (bpftool link detach?): it is on again"

    def _is_gone(self) -> bool:
        """Whether there is no such interface here any more, which ``AddressWatch`` says."""
        try:
            if_indextoname(self.interface.index)
        except OSError:
            return True
        return False

    def _clear_slot(self, queue: Queue) -> None:
        queue.detached = True
        _bpf.map_delete(self.program.maps["xsks"], struct.pack("=I", queue.number))

    def _fill_slot(self, queue: Queue) -> None:
        slot, fd = struct.pack("=I", queue.number), struct.pack("=I", queue.socket.fileno())
        _bpf.map_update(self.program.maps["xsks"], slot, fd)
        queue.detached = False

    def leave(self) -> None:
        """Closes what is ours of what another process serves with from now on; workers are parked.

        A queue that the other did not want is drained before.
        """
        end_workers(self.queues)
        self.attached.leave()

    async def close(self, deadline: ShutdownDeadline) -> bool:
        """Hands all back to the kernel, lets the workers answer what they hold, and ends them.

        Returns whether all did end in time. One that did not keeps its socket and memory: the
        process must end without freeing them.
        """
        for queue in self.queues:
            if not queue.detached:
                self._clear_slot(queue)
        self.attached.detach()
        for queue in self.queues:
            queue.worker.stop()
        ended = await deadline.wait(lambda: all(queue.worker.done for queue in self.queues))
        end_workers([queue for queue in self.queues if queue.worker.done])
        self.attached.close()
        return ended


def end_workers(queues: Sequence[Queue]) -> None:
    """Lets workers answer what they hold, waits for their end, and closes their sockets."""
    for queue in queues:
        queue.worker.stop()
    for queue in queues:
        queue.worker.join()
        queue.socket.close()


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


def open_dataplane(
    config: InterfaceConfig,
    ntp: NtpConfig | None,
    interface: Interface,
    shared: SharedSnapshot,
    changes: Changes,
    dns: DnsConfig | None = None,
    handed_over: HandedOver | None = None,
) -> DataPlane:
    """Attaches, binds and starts; frames arrive once ``serve`` has been called.

    What is changed on the NIC goes into ``changes``, which undoes it in the end. What ``handed_over``
    has is taken instead, and starts with its ``switch``. To be called after ``check_queues``.
    Raises BpfError, AttachError, StampError, QueueError or BindError; whatever was done before is
    undone.
    """
    if not interface.up:
        raise NicError(f"{interface.name} is down: ip link set dev {interface.name} up")
    if handed_over:
        link_fd, bound = handed_over.take_link(), handed_over.facts["bound"]
        attached = inherit(config, interface, link_fd, bound, handed_over.facts["mode"])
    else:
        attached = attach(config, interface, changes)
    dataplane = DataPlane(interface, attached, config, ntp, shared)
    metadata = TX_METADATA_BYTES if ntp and ntp.tx_timestamps != "kick" else 0
    if config.realtime:
        dataplane.notes.append(
            f"realtime = {config.realtime}: while a worker is busy nothing else runs on its CPU; "
            "leave this process, the kernel and others a CPU without a queue"
        )
    try:
        for number in config.queues:
            socket = handed_over.sockets.pop(number, None) if handed_over else None
            inherited = socket is not None
            if socket is None:
                socket = bind(interface, number, config, dataplane.mode, dataplane.notes, metadata)
            worker = dataplane.start_worker(socket, number, new_thread_state(ntp, dns))
            queue = Queue(number, socket, worker, inherited=inherited)
            dataplane.queues.append(queue)
            if not inherited:
                worker.start()
            dataplane._fill_slot(queue)
    except BaseException as error:
        end_workers(dataplane.queues)
        attached.close()
        if isinstance(error, PermissionError) and config.realtime:
            raise PrivilegeError(
                f"realtime = {config.realtime} was refused: grant CAP_SYS_NICE, allow it in this "
                "control group (cpu.rt_runtime_us), or set realtime = 0"
            ) from error
        if isinstance(error, OSError):
            raise BindError(
                f"{interface.name}: a worker could not be started ({error.strerror}): raise the "
                "limits on threads and descriptors (ulimit -u, -n)"
            ) from error
        raise
    return dataplane


def check_queues(config: InterfaceConfig, interface: Interface) -> None:
    """Raises QueueError for a queue that the interface cannot have."""
    for number in config.queues:
        if number >= interface.rx_queues:
            raise QueueError(
                f"{interface.name} has no RX queue {number}: it has {interface.rx_queues}, so set "
                f"[interface] queues within 0..{interface.rx_queues - 1}, or raise them with "
                f"'ethtool -L {interface.name}'"
            )
