"""[interface] of the configuration file: which queues of which interface, and how to serve them."""

from __future__ import annotations

from dataclasses import dataclass

from xdpkit.config.address import ServedAddress, parse_address
from xdpkit.config.toml_document import Table, quoted

STEERING = ("auto", "ntuple", "rss", "none")
MODES = ("auto", "zerocopy", "copy", "generic")
POLLS = ("wait", "busy")
RX_TIMESTAMPS = ("auto", "hardware", "xdp", "loop")

# linux/if.h IFNAMSIZ, less the terminating null.
_MAX_NAME = 15
# The most CPUs that x86-64 kernels are built for: CONFIG_NR_CPUS with MAXSMP.
_CPUS = 8192
# ebpf/steer.h STEER_QUEUES.
_QUEUES = 256


@dataclass(frozen=True)
class InterfaceConfig:
    """[interface]: where packets come from; no ``addresses`` means all of the interface's."""

    name: str
    queues: tuple[int, ...]
    steering: str = "auto"
    mode: str = "auto"
    addresses: tuple[ServedAddress, ...] = ()
    slow_path: bool = True
    poll: str = "wait"
    defer_irqs: bool = False
    irq_cpus: tuple[int, ...] = ()
    rx_timestamps: str = "auto"
    realtime: int = 0


def read_interface(table: Table) -> InterfaceConfig:
    table.require("name", '"eth1"')
    table.require("queues", "[2]")
    queues = table.integers("queues", 0, _QUEUES - 1)
    if not queues:
        raise table.error("queues", "name at least one RX queue, for example [2]")
    mode = table.choice("mode", InterfaceConfig.mode, MODES)
    rx_timestamps = table.choice("rx_timestamps", InterfaceConfig.rx_timestamps, RX_TIMESTAMPS)
    if mode == "generic" and rx_timestamps == "hardware":
        reason = 'hardware receive stamps are not available in mode = "generic": write "auto"'
        raise table.error("rx_timestamps", reason)
    poll = table.choice("poll", InterfaceConfig.poll, POLLS)
    defer_irqs = table.flag("defer_irqs", InterfaceConfig.defer_irqs)
    if defer_irqs and poll != "busy":
        raise table.error("defer_irqs", 'interrupts can only be deferred with poll = "busy"')
    return InterfaceConfig(
        name=_interface_name(table),
        queues=queues,
        steering=table.choice("steering", InterfaceConfig.steering, STEERING),
        mode=mode,
        addresses=_addresses(table),
        slow_path=table.flag("slow_path", InterfaceConfig.slow_path),
        poll=poll,
        defer_irqs=defer_irqs,
        irq_cpus=table.integers("irq_cpus", 0, _CPUS - 1),
        rx_timestamps=rx_timestamps,
        realtime=_realtime(table),
    )


def _realtime(table: Table) -> int:
    """The workers' SCHED_FIFO priority, 1 to 99 (sched(7)), or 0 for normal scheduling."""
    priority = table.integer("realtime", InterfaceConfig.realtime, 0, 99)
    if priority and table.string("poll", InterfaceConfig.poll) == "busy":
        reason = 'with poll = "busy" a worker would never yield its CPU to others: choose one'
        raise table.error("realtime", reason)
    return priority


def _interface_name(table: Table) -> str:
    """Checked by the kernel's rule (net/core/dev.c, dev_valid_name); must also be printable."""
    name = table.string("name")
    if not name or name in (".", "..") or len(name.encode()) > _MAX_NAME:
        raise table.error("name", f"{quoted(name)} is not an interface name: see ip link")
    if not name.isprintable() or any(c in "/:" or c.isspace() for c in name):
        raise table.error("name", f"{quoted(name)} is not an interface name: see ip link")
    return name


def _addresses(table: Table) -> tuple[ServedAddress, ...]:
    served: list[ServedAddress] = []
    for index, text in enumerate(table.strings("addresses")):
        try:
            address = parse_address(text)
        except ValueError as error:
            raise table.error(("addresses", index), f"{quoted(text)}: {error}") from error
        if address in served:
            raise table.error(("addresses", index), f"{quoted(text)} is listed twice")
        served.append(address)
    return tuple(served)
