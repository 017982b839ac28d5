"""The interrupts of a device, and the CPUs that serve them: /proc/interrupts and /proc/irq."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from xdpkit.nic.fact import Fact, Unknown, cpu_list, look, text

PROC = Path("/proc")

# How drivers name the interrupt of an RX queue: eth0-TxRx-3, ena...-Tx-Rx-3@..., eth0-rx-3,
# virtio2-input.3, mlx5_comp3@pci:..., gve-ntfy-blk3@...
_QUEUE_OF = re.compile(r"(?:-Tx-?Rx-|-rx-|-input\.|comp|ntfy-blk)(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Interrupt:
    """An interrupt of the device: its name, the RX queue in that, and the CPUs that serve it."""

    number: int
    name: str
    queue: int | None
    cpus: Fact[tuple[int, ...]]


def interrupts(path: Path, proc: Path = PROC) -> tuple[Interrupt, ...]:
    """Those of the interface with this directory of sysfs; none for a virtual one."""
    numbers = {
        int(each.name) for each in devices(path) for each in (each / "msi_irqs").glob("[0-9]*")
    }
    found = []
    for line in text(proc / "interrupts").splitlines()[1:] if numbers else ():
        irq, _, rest = line.strip().partition(":")
        if irq.isdigit() and int(irq) in numbers:
            name = rest.split()[-1]
            queue = _QUEUE_OF.search(name)
            files = proc / "irq" / irq
            cpus = look(lambda path: cpu_list(text(path)), files / "effective_affinity_list")
            if isinstance(cpus, Unknown):
                cpus = look(lambda path: cpu_list(text(path)), wanted_cpus(int(irq), proc))
            found.append(Interrupt(int(irq), name, int(queue[1]) if queue else None, cpus))
    return tuple(found)


def wanted_cpus(number: int, proc: Path = PROC) -> Path:
    """The file of the CPUs that may serve an interrupt (linux Documentation/core-api/irq)."""
    return proc / "irq" / str(number) / "smp_affinity_list"


def devices(path: Path) -> tuple[Path, ...]:
    """The device of an interface and, as virtio has little of its own, the one above it."""
    device = path / "device"
    return (device.resolve(), device.resolve().parent) if device.exists() else ()
