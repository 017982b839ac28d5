"""Checks of the machine: memory, CPUs, clock, other programs on the ports."""

from __future__ import annotations

from collections.abc import Iterator

from xdpkit.doctor.finding import Check, Finding, Wanted, comma_separated, stop_command
from xdpkit.doctor.probe import ProbeFacts
from xdpkit.doctor.probe_host import HUGE_KIB
from xdpkit.nic.fact import value_of
from xdpkit.nic.os.port_holders import Listener
from xdpkit.nic.os.xsk_bind import UMEM_KIB

# Wake-up took 50 us with deep sleep states and 4 us without them, measured on igc:
# https://github.com/xdp-project/bpf-examples/tree/main/AF_XDP-interaction
SLEEP_US = 20


def _memory(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    queues = len(wanted.queues) or 1
    needed = queues * UMEM_KIB
    limit = facts.host.memlock_kib
    unlimited = "CAP_IPC_LOCK" not in (value_of(facts.privileges.unattainable) or ())
    if limit is not None and limit < needed and not unlimited:
        yield Finding(
            "memlock",
            "blocks",
            f"the limit on locked memory is {limit} KiB, {needed} KiB are needed",
            "no AF_XDP socket can be opened",
            "prlimit --memlock=unlimited xdpkit run -c FILE",
        )
    node = value_of(facts.device.node) or 0
    memory = facts.host.nodes.get(node)
    free = value_of(memory.huge_free) if memory else None
    pages = value_of(memory.huge_pages) if memory else None
    short = needed // HUGE_KIB - (free or 0)
    if free is not None and pages is not None and short > 0 and facts.xdp.serving is None:
        yield Finding(
            "huge-pages",
            "note",
            f"{free} huge pages of 2 MiB are free on node {node}, {needed // HUGE_KIB} are needed",
            "packets are in ordinary pages: more TLB misses",
            f"echo {pages + short} > /sys/devices/system/node/node{node}"
            f"/hugepages/hugepages-{HUGE_KIB}kB/nr_hugepages",
        )


def _near(facts: ProbeFacts) -> tuple[int, ...]:
    """The CPUs of the NIC's NUMA node; none where that is unknown."""
    node = value_of(facts.device.node)
    found = facts.host.nodes.get(node) if node is not None else None
    return found.cpus if found else ()


def _has_node(facts: ProbeFacts) -> bool:
    return value_of(facts.device.node) is not None


def _numa(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    """Each queue's worker gets the CPU at its index in the list: ``dataplane.open_dataplane``."""
    node, near = value_of(facts.device.node), _near(facts)
    cpus = facts.privileges.cpus
    if len(facts.host.nodes) < 2 or not cpus:
        return
    count = len(wanted.queues) or 1
    far = sorted({cpus[index % len(cpus)] for index in range(count)} - set(near))
    if near and far:
        yield Finding(
            "numa-far",
            "costs",
            f"workers would run on CPU {comma_separated(far)}, the NIC is on NUMA node {node}",
            "every packet crosses NUMA nodes",
            f"taskset -c {comma_separated(near)} xdpkit run -c FILE",
        )


def _cpus(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    idle_us = value_of(facts.host.idle_us)
    if idle_us is not None and idle_us > SLEEP_US and wanted.poll == "wait":
        yield Finding(
            "sleep",
            "costs",
            f"an idle CPU takes {idle_us} us to wake up",
            "the first request after a pause is answered, and timestamped, that much later",
            f"cpupower idle-set -D {SLEEP_US}",
            "https://github.com/xdp-project/bpf-examples/tree/main/AF_XDP-interaction",
        )
    slow = [name for name in value_of(facts.host.governors) or () if name != "performance"]
    if slow:
        yield Finding(
            "governor",
            "costs",
            f"CPU frequencies are set by governor {', '.join(slow)}",
            "a CPU that was idle answers slowly at first",
            "cpupower frequency-set -g performance",
        )


def _interrupts(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    node, near = value_of(facts.device.node), _near(facts)
    for each in value_of(facts.device.interrupts) or ():
        cpus = value_of(each.cpus) or ()
        if each.queue in wanted.queues and near and cpus and not set(cpus) & set(near):
            yield Finding(
                "interrupt-far",
                "costs",
                f"queue {each.queue} interrupts CPU {comma_separated(cpus)}, "
                f"the NIC is on node {node}",
                "every packet crosses NUMA nodes",
                f"echo {comma_separated(near)} > /proc/irq/{each.number}/smp_affinity_list",
            )
    if facts.host.irqbalance and value_of(facts.device.interrupts):
        yield Finding(
            "irqbalance",
            "note",
            f"irqbalance (process {facts.host.irqbalance.pid}) moves interrupts",
            "a queue's interrupt may move to its worker's CPU, or to another node",
            "systemctl stop irqbalance.service",
        )


def _listeners(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    """Sockets with which the slow path's would conflict."""
    ours = {str(each.address) for each in wanted.addresses} or set(facts.link.addresses)
    serving = value_of(facts.xdp.serving)
    names = {port: name for name, port in wanted.ports.items()}
    seen: dict[tuple[int, str], Listener] = {}
    for each in value_of(facts.host.listeners) or ():
        is_ours = serving is not None and each.owner is not None and each.owner.pid == serving.pid
        meant = each.address.is_unspecified or str(each.address) in ours
        wants = each.port in names and (each.protocol == "udp" or names[each.port] == "dns")
        if meant and wants and not is_ours:
            who = each.owner.name if each.owner else ""
            seen.setdefault((each.port, who), each)
    for (port, who), each in sorted(seen.items()):
        owner = f"{who} (process {each.owner.pid})" if each.owner else "another program"
        yield Finding(
            "port-taken",
            "costs",
            f"port {port} is in use by {owner} on {each.address}",
            _consequence(names[port], each.protocol),
            _stop(each),
        )


def _consequence(service: str, protocol: str) -> str:
    if service == "ntp":
        return (
            "what arrives through the kernel (other queues, fragments) goes to that program, not "
            "to us; the chosen queues are not affected"
        )
    return (
        f"{service} over {protocol.upper()} is left to that program there, on every queue, until "
        "it goes; with slow_path = false the chosen queues are ours"
    )


def _stop(listener: Listener) -> str:
    owner = listener.owner
    if owner is None:
        return f"sudo ss -lnp 'sport = :{listener.port}'"
    if owner.name == "chronyd":
        return "echo 'port 11123' >> /etc/chrony/chrony.conf && systemctl restart chrony.service"
    return stop_command(owner)


def _clock(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    clock = value_of(facts.host.clock)
    if "ntp" not in wanted.ports or clock is None or clock.synchronised:
        return
    if wanted.ntp_sources and "kernel" not in wanted.ntp_sources:
        return
    yield Finding(
        "clock",
        "costs" if wanted.ntp_sources else "note",
        "the kernel's clock is not synchronized",
        'with source = "kernel", NTP replies say so and clients do not believe them',
        "apt-get install chrony && systemctl start chrony.service",
    )


CHECKS = (
    Check(_memory, "memory"),
    Check(_numa, "NUMA node", ("device.node",), _has_node),
    Check(_cpus, "CPU sleep and frequency", ("host.idle_us", "host.governors")),
    Check(_interrupts),
    Check(_listeners, "ports", ("host.listeners",)),
    Check(_clock, "clock", ("host.clock",)),
)
