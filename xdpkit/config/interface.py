"""[interface] of the configuration file: which queues of which interface, and how to serve them."""

from __future__ import annotations

from typing import Any

from xdpkit._core._limits import STEER_QUEUES
from xdpkit.config.address import ServedAddress, parse_address
from xdpkit.config.schema import choice, custom, flag, integer, section
from xdpkit.config.toml_document import Table, quoted

STEERING = ("auto", "ntuple", "rss", "none")
MODES = ("auto", "zerocopy", "copy", "generic")
POLLS = ("wait", "busy")
RX_TIMESTAMPS = ("auto", "hardware", "xdp", "loop")

# linux/if.h IFNAMSIZ and linux/if_link.h ALTIFNAMSIZ, less the terminating null.
LONGEST_NAME, LONGEST_ALTNAME = 15, 127
# The most CPUs that x86-64 kernels are built for: CONFIG_NR_CPUS with MAXSMP.
_CPUS = 8192


def is_interface_name(name: Any, longest: int = LONGEST_NAME) -> bool:
    """The kernel's rule (net/core/dev.c, dev_valid_name); must also be printable."""
    return (
        isinstance(name, str)
        and name.isprintable()
        and 0 < len(name.encode()) <= longest
        and name not in (".", "..")
        and not any(char in "/:" or char.isspace() for char in name)
    )


def _interface_name(table: Table, key: str) -> str:
    name = table.string(key)
    if not is_interface_name(name, LONGEST_ALTNAME):
        raise table.error(key, f"{quoted(name)} is not an interface name: see ip link")
    return name


def _queues(table: Table, key: str) -> tuple[int, ...]:
    queues = table.integers(key, 0, STEER_QUEUES - 1)
    if not queues:
        raise table.error(key, "name at least one RX queue, for example [2]")
    return queues


def _addresses(table: Table, key: str) -> tuple[ServedAddress, ...]:
    served: dict[ServedAddress, None] = {}
    for index, text in enumerate(table.strings(key)):
        try:
            address = parse_address(text)
        except ValueError as error:
            raise table.error((key, index), f"{quoted(text)}: {error}") from error
        if address in served:
            raise table.error((key, index), f"{quoted(text)} is listed twice")
        served[address] = None
    return tuple(served)


def _irq_cpus(table: Table, key: str) -> tuple[int, ...]:
    return table.integers(key, 0, _CPUS - 1)


def _check_stamps(table: Table, mode: str, rx_timestamps: str) -> None:
    if mode == "generic" and rx_timestamps == "hardware":
        reason = 'hardware receive stamps are not available in mode = "generic": write "auto"'
        raise table.error("rx_timestamps", reason)


def _check_deferral(table: Table, poll: str, defer_irqs: bool) -> None:
    if defer_irqs and poll != "busy":
        raise table.error("defer_irqs", 'interrupts can only be deferred with poll = "busy"')


def _check_priority(table: Table, poll: str, realtime: int) -> None:
    if realtime and poll == "busy":
        reason = 'with poll = "busy" a worker would never yield its CPU to others: choose one'
        raise table.error("realtime", reason)


@section("interface", _check_stamps, _check_deferral, _check_priority)
class InterfaceConfig:
    """Where packets come from."""

    name: str = custom(
        _interface_name,
        accepts="string",
        example='"eth1"',
        doc="The interface to serve on, by its name or an altname in `ip link`.",
        restart=True,
    )
    queues: tuple[int, ...] = custom(
        _queues,
        accepts=f"array of integers, 0 to {STEER_QUEUES - 1}",
        example="[2]",
        doc="RX queues to take; all others stay with the kernel.",
        restart=True,
    )
    steering: str = choice(
        STEERING,
        default="auto",
        doc='How requests reach those queues: "ntuple" rules, the "rss" table, "none"; "auto":'
        " rules or none.",
        restart=True,
    )
    mode: str = choice(
        MODES,
        default="auto",
        doc='"zerocopy", "copy" or "generic" insists; "auto" takes the best available and logs'
        " which it is.",
        restart=True,
    )
    addresses: tuple[ServedAddress, ...] = custom(
        _addresses,
        accepts="array of addresses",
        default=(),
        doc='Addresses to answer at, `"192.0.2.1@100"` in VLAN 100; none: all of the interface,'
        " tracked live.",
    )
    slow_path: bool = flag(
        default=True,
        doc="Also answer what reaches this host through the kernel: other queues, fragments, TCP.",
        restart=True,
    )
    poll: str = choice(
        POLLS,
        default="wait",
        doc='What an idle loop does: "wait" sleeps, "busy" spins and burns its CPU.',
        restart=True,
    )
    defer_irqs: bool = flag(
        default=False,
        doc='With `poll = "busy"`: interrupts of all the interface\'s queues wait up to 200 us for'
        " the loops.",
        restart=True,
    )
    irq_cpus: tuple[int, ...] = custom(
        _irq_cpus,
        accepts=f"array of integers, 0 to {_CPUS - 1}",
        default=(),
        doc="CPUs for the chosen queues' interrupts, in turn; none: left as they are. irqbalance"
        " undoes it.",
        restart=True,
    )
    rx_timestamps: str = choice(
        RX_TIMESTAMPS,
        default="auto",
        doc='Where receive times are taken: by the NIC ("hardware"), at "xdp" entry, in the "loop",'
        ' or "auto".',
        restart=True,
    )
    route_check: bool = flag(
        default=False,
        doc="Give no answer where this host's main routing table has a blackhole, unreachable or"
        " prohibit route, which AF_XDP does not ask.",
        restart=True,
    )
    max_loss_ppm: int = integer(
        0,
        1_000_000,
        default=1000,
        doc="Packets lost of a million received, over a minute, above which `xdpkit status` says"
        " degraded.",
    )
    latency: bool = flag(
        default=True,
        doc="Count how long answers take inside, from their receive stamp until they are given to"
        " the kernel.",
        restart=True,
    )
    realtime: int = integer(
        0,
        99,
        default=0,
        doc="Priority of the workers under SCHED_FIFO, sched(7); 0: off. What shares their CPUs may"
        " starve.",
        restart=True,
    )
