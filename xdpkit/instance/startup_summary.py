"""What an instance says at its start: what it obtained, and nothing that fell back silently."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from xdpkit.config import Config, ServedAddress
from xdpkit.dataplane.dataplane import DataPlane
from xdpkit.slowpath.tcp import TcpSlowPath


def lines(
    config: Config,
    got: DataPlane,
    tcp_path: TcpSlowPath | None,
    changes: Collection[str],
    served: Collection[ServedAddress],
) -> Iterator[str]:
    """For the log; ``changes`` are those made to the NIC."""
    services = ", ".join(f"{name} on UDP {port}" for name, port in config.ports().items())
    if tcp_path:
        services += f", dns on TCP {tcp_path.config.port}"
    elif config.dns:
        yield "no DNS over TCP (slow_path, tcp_connections): a cut answer stays cut"
    queues = ", ".join(str(queue.number) for queue in got.queues)
    copying = "zero-copy" if got.zerocopy else "copy"
    yield f"{got.interface.name}: XDP {got.mode}, AF_XDP {copying}, queue {queues}"
    yield from (*changes, *got.notes, *(tcp_path.notes() if tcp_path else ()))
    yield f"serving {services} at {', '.join(map(str, served)) or 'no address yet'}"
    if config.metrics:
        yield f"metrics at http://{config.metrics.listen}/metrics"
    yield "all other queues and packets stay with the kernel; stop with SIGTERM"
