"""A device's interrupts, and the CPUs that handle them: /proc/interrupts and /proc/irq."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from xdpkit.nic.fact import Fact, Unknown, parse_cpu_list, read_fact, read_text

PROC = Path("/proc")

# How drivers name the interrupt of an RX queue: eth0-TxRx-3, ena...-Tx-Rx-3@..., eth0-rx-3,
# virtio2-input.3, mlx5_comp3@pci:..., gve-ntfy-blk3@...
_QUEUE_OF = re.compile(r"(?:-Tx-?Rx-|-rx-|-input\.|comp|ntfy-blk)(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Interrupt:
    """A device's interrupt: its name, the RX queue in that name, and the CPUs that handle it."""

    number: int
    name: str
    queue: int | None
    cpus: Fact[tuple[int, ...]]


def interrupts(path: Path, proc: Path = PROC) -> tuple[Interrupt, ...]:
    """The interrupts of the interface with this sysfs directory; none for a virtual one."""
    numbers = {
        int(each.name) for each in devices(path) for each in (each / "msi_irqs").glob("[0-9]*")
    }
    found = []
    for line in read_text(proc / "interrupts").splitlines()[1:] if numbers else ():
        irq, _, rest = line.strip().partition(":")
        if irq.isdigit() and int(irq) in numbers:
            name = rest.split()[-1]
            queue = _QUEUE_OF.search(name)
            files = proc / "irq" / irq
            cpus = read_fact(_read_cpus, files / "effective_affinity_list")
            if isinstance(cpus, Unknown):
                cpus = read_fact(_read_cpus, wanted_cpus(int(irq), proc))
            found.append(Interrupt(int(irq), name, int(queue[1]) if queue else None, cpus))
    return tuple(found)


def _read_cpus(path: Path) -> tuple[int, ...]:
    return parse_cpu_list(read_text(path))


def wanted_cpus(number: int, proc: Path = PROC) -> Path:
    """The file of CPUs that may handle an interrupt (Linux Documentation/core-api/irq)."""
    return proc / "irq" / str(number) / "smp_affinity_list"


def devices(path: Path) -> tuple[Path, ...]:
    """The interface's device and its parent, as much of a virtio device is in its parent."""
    device = path / "device"
    return (device.resolve(), device.resolve().parent) if device.exists() else ()
