"""The startup summary: what an instance obtained, with every fallback."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from xdpkit.config import Config, ServedAddress
from xdpkit.dataplane.dataplane import DataPlane
from xdpkit.slowpath.tcp import TcpSlowPath


def lines(
    config: Config,
    dataplane: DataPlane,
    tcp_path: TcpSlowPath | None,
    changes: Collection[str],
    served: Collection[ServedAddress],
) -> Iterator[str]:
    """Lines for the log; ``changes`` are those made to the NIC."""
    services = ", ".join(f"{name} on UDP {port}" for name, port in config.ports().items())
    if tcp_path:
        services += f", dns on TCP {tcp_path.config.port}"
    elif config.dns:
        yield "no DNS over TCP (slow_path, tcp_connections): truncated answers cannot be retried"
    queues = ", ".join(str(queue.number) for queue in dataplane.queues)
    copying = "zero-copy" if dataplane.zerocopy else "copy"
    yield f"{dataplane.interface.name}: XDP {dataplane.mode}, AF_XDP {copying}, queue {queues}"
    yield from (*changes, *dataplane.notes, *(tcp_path.notes() if tcp_path else ()))
    yield f"serving {services} at {', '.join(map(str, served)) or 'no address yet'}"
    if config.metrics:
        yield f"metrics at http://{config.metrics.listen}/metrics"
    yield "all other queues and packets stay with the kernel; stop with SIGTERM"
