"""The data plane of a running server: program, link, and for every queue a socket and a worker.

Opened in an order that loses no frame: attach (all frames are passed), bind, start the workers, put
the sockets into the XSKMAP, and only then the services into their map. Closed in the reverse order:
no frame is redirected to a socket that is being closed.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from xdpkit._core import _bpf
from xdpkit._core._loop import Worker
from xdpkit._core._snapshot import SharedSnapshot
from xdpkit._core._stats import KEYS, QUEUES, SERVICES, VERDICT_END, VERDICT_FIRST, VERDICT_SLOTS
from xdpkit._core._thread_state import TX_METADATA_BYTES, ThreadState
from xdpkit._core._xsk import XskSocket
from xdpkit.bpf import loader
from xdpkit.config import DnsConfig, InterfaceConfig, NtpConfig, ServedAddress
from xdpkit.config.address import Address
from xdpkit.dataplane.attach import Attached, attach, take_over
from xdpkit.errors import AttachError, BindError, NicError, PrivilegeError, QueueError
from xdpkit.nic.os.interface import Interface
from xdpkit.nic.os.names import name_of
from xdpkit.nic.os.xsk_bind import bind
from xdpkit.nic.setup.apply import Changes
from xdpkit.nic.setup.hardware_stamps import HardwareStamps
from xdpkit.runtime.capability import Capability, effective
from xdpkit.runtime.deadline import ShutdownDeadline
from xdpkit.runtime.heartbeat import Heartbeat
from xdpkit.runtime.reasons import fix
from xdpkit.runtime.thread_state import new_thread_state
from xdpkit.services.ntp.tx_source import transmit_source

# What ``Worker.counters`` says of its socket, which stays when another worker follows.
_OF_THE_SOCKET = ("rx_pending", "tx_pending", "tx_lost")


class HandedOver(Protocol):
    """What a data plane takes over from a running instance; what it takes out, it must close."""

    facts: Mapping[str, Any]
    sockets: dict[int, XskSocket]

    def take_link(self) -> int: ...


@dataclass
class Queue:
    """One served RX queue."""

    number: int
    socket: XskSocket
    worker: Worker
    beat: Heartbeat = field(default_factory=Heartbeat)
    detached: bool = True
    """Not in the XSKMAP: the queue's frames go to the kernel."""
    taken_over: bool = False
    """Until the switch, the predecessor's worker serves it."""
    parked: bool = False
    """Its worker was told to park, and no other has been started since."""
    lost_before: Mapping[str, int] = field(default_factory=dict)
    """XDP_STATISTICS of a socket that was taken over: what a predecessor lost."""
    counted_before: dict[str, Any] = field(default_factory=dict)
    """What earlier workers of this instance have counted."""

    def replace_worker(self, worker: Worker) -> None:
        """Takes another worker, which counts from 0, for one that has ended."""
        self.counted_before = self.counters()
        self.worker, self.parked = worker, False

    def counters(self) -> dict[str, Any]:
        """What the queue's workers have counted, all together, and the levels of its rings."""
        counted: dict[str, Any] = {**self.worker.counters()}
        for name, earlier in self.counted_before.items():
            if isinstance(earlier, list):
                counted[name] = [a + b for a, b in zip(earlier, counted[name], strict=True)]
            elif name not in _OF_THE_SOCKET:
                counted[name] += earlier
        return counted


@dataclass
class DataPlane:
    """What was obtained from the interface; ``notes`` says where that is less than requested."""

    interface: Interface
    attached: Attached
    config: InterfaceConfig
    ntp: NtpConfig | None
    shared: SharedSnapshot
    queues: list[Queue] = field(default_factory=list)
    keys: dict[bytes, int] = field(default_factory=dict)
    off: bool = False
    """Someone detached the program, and it could not be reattached yet."""

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
        """Where receive stamps come from, unless a frame has none."""
        return "hardware" if self.hardware else "loop" if self.own_clock else "xdp"

    @property
    def own_clock(self) -> bool:
        """Whether receive stamps are the loop's: ``rx_timestamps = "loop"``."""
        return self.config.rx_timestamps == "loop"

    @property
    def zerocopy(self) -> bool:
        return bool(self.queues) and all(queue.socket.zerocopy for queue in self.queues)

    def start_worker(self, socket: XskSocket, number: int, state: ThreadState) -> Worker:
        """A worker for the socket of a queue, not yet started."""
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

    def serve(
        self,
        addresses: Iterable[ServedAddress],
        ports: dict[str, int],
        left: Collection[tuple[Address, str]] = (),
    ) -> None:
        """Serves exactly these (tags, address, port), and nothing else any longer.

        What is ``left``, addresses and services, the kernel gets, whatever queue it arrives on.
        Raises NicError, and changes nothing, if there are more than fit in the map.
        """
        wanted = steer_keys(addresses, ports, left)
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
                f"the XDP program's service map could not be updated ({error.strerror}): the next "
                "change of addresses tries again"
            ) from error

    def xdp_counters(self) -> dict[int, list[int]]:
        """The XDP program's counters by RX queue, in the order of VERDICTS, over all CPUs."""
        queues = min(self.interface.rx_queues, QUEUES)
        verdicts = self.program.maps["verdicts"]
        sums = _bpf.percpu_sums(verdicts, queues * VERDICT_SLOTS, possible_cpus())
        firsts = range(VERDICT_FIRST, len(sums), VERDICT_SLOTS)
        return {queue: sums[first : first + VERDICT_END] for queue, first in enumerate(firsts)}

    def check_heartbeats(self) -> list[str]:
        """Removes queues with a stalled worker from the XSKMAP, so that the slow path answers.

        Must be called less often than once a second, a worker's wait; returns a line per change.
        """
        lines = []
        for queue in self.queues:
            queue.beat.update(queue.worker.heartbeat)
            if queue.beat.stalled and not queue.detached:
                self._clear_slot(queue)
                lines.append(
                    f"the worker of queue {queue.number} is stalled: its frames go to the kernel"
                )
            elif queue.beat.running and queue.detached:
                self._fill_slot(queue)
                lines.append(f"the worker of queue {queue.number} runs again: AF_XDP answers")
        return lines

    def park(self, queues: Iterable[Queue]) -> None:
        """Tells the workers to end after their turn, each with every frame on a ring."""
        for queue in queues:
            queue.parked = True
            queue.worker.park()

    def leave_parked_to_the_kernel(self, queues: Iterable[Queue] | None = None) -> None:
        """Takes parked queues, all or some, out of the XSKMAP until they are resumed."""
        for queue in self.queues if queues is None else queues:
            if queue.parked and not queue.detached:
                self._clear_slot(queue)

    def resume_parked(self) -> list[str]:
        """Starts a worker for each queue whose own has parked; the rings must be ours.

        One that has not ended yet, or cannot be started, is left to the next call. Returns a line
        for each queue that was left to the kernel meanwhile.
        """
        lines = []
        for queue in self.queues:
            if not queue.parked or not queue.worker.done:
                continue
            if queue.worker.dead:
                queue.parked = False
                continue
            queue.worker.join()
            worker = self.start_worker(queue.socket, queue.number, queue.worker.state)
            queue.socket.resume()
            try:
                worker.start()
            except OSError:
                continue
            queue.replace_worker(worker)
            if queue.detached:
                self._fill_slot(queue)
                lines.append(f"the worker of queue {queue.number} runs again: AF_XDP answers")
        return lines

    def detach_dead_queues(self) -> list[str]:
        """Removes queues with a dead worker from the XSKMAP for good; returns a line for each."""
        lines = []
        for queue in self.queues:
            if queue.worker.dead and not queue.detached:
                self._clear_slot(queue)
                lines.append(
                    f"the worker of queue {queue.number} made a forbidden system call and was "
                    "killed (the kernel log may show it, type=1326): its frames go to the kernel"
                )
        return lines

    def reattach(self) -> str | None:
        """Reattaches the program if someone detached it; returns a line for the log, if any.

        If that fails, all frames go to the kernel; the reason is returned once.
        """
        if _bpf.link_attached(self.attached.link_fd) or self._is_gone():
            return None
        name = self.interface.name
        try:
            self.attached.attach_again(self.interface)
        except AttachError as error:
            first, self.off = not self.off, True
            who = "the slow path answers" if self.config.slow_path else "nothing answers"
            return (
                f"someone detached the XDP program from {name}, and {who}: {error}"
                if first
                else None
            )
        was_off, self.off = self.off, False
        if was_off:
            return f"the XDP program is on {name} again: AF_XDP answers"
        return (
            f"someone detached the XDP program from {name} (bpftool link detach?): it is on again"
        )

    def reclaim_link(self) -> bool:
        """Puts our program back into our link; returns whether another's was in it.

        A predecessor that did not see us serve in time has put its own there.
        """
        link_fd, program = self.attached.link_fd, _bpf.prog_id(self.program.fd)
        if self.off or _bpf.link_program(link_fd) == program:
            return False
        self.attached.update()
        return True

    def _is_gone(self) -> bool:
        """Whether the interface is no longer here, which ``AddressWatch`` reports."""
        try:
            name_of(self.interface.index)
        except OSError as error:
            return error.errno == errno.ENODEV
        return False

    def _clear_slot(self, queue: Queue) -> None:
        queue.detached = True
        _bpf.map_delete(self.program.maps["xsks"], struct.pack("=I", queue.number))

    def _fill_slot(self, queue: Queue) -> None:
        slot, fd = struct.pack("=I", queue.number), struct.pack("=I", queue.socket.fileno())
        _bpf.map_update(self.program.maps["xsks"], slot, fd)
        queue.detached = False

    async def release(self, deadline: ShutdownDeadline) -> bool:
        """Closes our descriptors of what a successor serves with; its workers run, ours are parked.

        Queues that it did not take over are drained first. Returns whether all ended in time.
        """
        ended = await self._end_workers(deadline)
        self.attached.release()
        return ended

    async def close(self, deadline: ShutdownDeadline) -> bool:
        """Returns all frames to the kernel, lets the workers answer theirs, and stops them.

        Returns whether all ended in time. One that did not keeps its socket and memory: the process
        must exit without freeing them.
        """
        for queue in self.queues:
            if not queue.detached:
                self._clear_slot(queue)
        self.attached.detach()
        ended = await self._end_workers(deadline)
        self.attached.close()
        return ended

    async def _end_workers(self, deadline: ShutdownDeadline) -> bool:
        for queue in self.queues:
            queue.worker.stop()
        ended = await deadline.wait(lambda: all(queue.worker.done for queue in self.queues))
        end_workers([queue for queue in self.queues if queue.worker.done])
        return ended


def end_workers(queues: Sequence[Queue]) -> None:
    """Lets workers answer the frames they hold, joins them, and closes their sockets."""
    for queue in queues:
        queue.worker.stop()
    for queue in queues:
        queue.worker.join()
        queue.socket.close()


@cache
def possible_cpus() -> int:
    """How many values a per-CPU map has, for good: up to the last CPU in "0-7" or "0,2-7"."""
    text = Path("/sys/devices/system/cpu/possible").read_text("ascii")
    return int(text.strip().replace(",", "-").rsplit("-", 1)[-1]) + 1


def steer_key(served: ServedAddress, port: int) -> bytes:
    """struct steer_key of ``ebpf/steer.h``: port in network byte order, the rest in host order."""
    address = served.address.packed.ljust(16, b"\0")
    version = served.address.version
    tags = struct.pack("=HHH", served.outer, served.inner, version)
    return address + port.to_bytes(2, "big") + tags


def steer_keys(
    addresses: Iterable[ServedAddress],
    ports: Mapping[str, int],
    left: Collection[tuple[Address, str]] = (),
) -> dict[bytes, int]:
    """The services map of these, without what is ``left``. Raises NicError for more than fit."""
    keys = {
        steer_key(address, port): SERVICES[service]
        for address in addresses
        for service, port in ports.items()
        if (address.address, service) not in left
    }
    if len(keys) > KEYS:
        raise NicError(
            f"{len(keys)} address and port pairs to serve, {KEYS} fit: list fewer addresses"
        )
    return keys


def open_dataplane(
    config: InterfaceConfig,
    ntp: NtpConfig | None,
    interface: Interface,
    shared: SharedSnapshot,
    changes: Changes,
    dns: DnsConfig | None = None,
    handed_over: HandedOver | None = None,
    begun: loader.Loading | None = None,
) -> DataPlane:
    """Attaches, binds and starts; frames arrive once ``serve`` has been called.

    What it changes on the NIC is recorded in ``changes``, which undoes it at shutdown. What
    ``handed_over`` has is used instead, and started by its ``switch``; ``begun`` may be loading the
    program already. Call ``check_queues`` first.
    Raises BpfError, AttachError, StampError, QueueError or BindError, after undoing everything.
    """
    if not interface.up:
        raise NicError(f"{interface.name} is down: ip link set dev {interface.name} up")
    if handed_over:
        link_fd, bound = handed_over.take_link(), handed_over.facts["bound"]
        attached = take_over(config, interface, link_fd, bound, handed_over.facts["mode"], begun)
    else:
        attached = attach(config, interface, changes, begun)
    dataplane = DataPlane(interface, attached, config, ntp, shared)
    metadata = TX_METADATA_BYTES if ntp and ntp.tx_timestamps != "kick" else 0
    if config.realtime:
        dataplane.notes.append(
            f"realtime = {config.realtime}: while a worker is busy, nothing else runs on its CPU; "
            "leave a CPU without a queue to this process, the kernel and others"
        )
    try:
        for number in config.queues:
            socket = handed_over.sockets.pop(number, None) if handed_over else None
            taken_over = socket is not None
            if socket is None:
                socket = bind(interface, number, config, dataplane.mode, dataplane.notes, metadata)
            worker = dataplane.start_worker(socket, number, new_thread_state(ntp, dns))
            queue = Queue(number, socket, worker, taken_over=taken_over)
            if taken_over:
                queue.lost_before = socket.statistics()
            dataplane.queues.append(queue)
            if not taken_over:
                _start(worker, config)
            dataplane._fill_slot(queue)
    except BaseException as error:
        end_workers(dataplane.queues)
        attached.close()
        if isinstance(error, OSError):
            what = f"{interface.name}: queue {number} could not be set up: {error.strerror}"
            hint = fix(error.errno or 0, Capability.BPF)
            raise BindError(f"{what}: {hint}" if hint else what) from error
        raise
    return dataplane


def _start(worker: Worker, config: InterfaceConfig) -> None:
    """Starts a worker's thread. Raises PrivilegeError, and OSError that names the call."""
    try:
        worker.start()
    except PermissionError as error:
        if not config.realtime:
            raise OSError(error.errno, f"its thread: {error.strerror}") from error
        held = Capability.SYS_NICE in effective()
        hint = (
            "allow it in this control group (cpu.rt_runtime_us)" if held else "grant CAP_SYS_NICE"
        )
        raise PrivilegeError(
            f"realtime = {config.realtime} was denied: {hint}, or set realtime = 0"
        ) from error
    except OSError as error:
        raise OSError(error.errno, f"its thread: {error.strerror}") from error


def check_queues(config: InterfaceConfig, interface: Interface) -> None:
    """Raises QueueError for a queue that the interface does not have."""
    for number in config.queues:
        if number >= interface.rx_queues:
            raise QueueError(
                f"{interface.name} has no RX queue {number}: it has {interface.rx_queues}, so set "
                f"[interface] queues within 0..{interface.rx_queues - 1}, or add queues with "
                f"'ethtool -L {interface.name}'"
            )
