"""The startup summary: what an instance obtained, with every fallback."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from xdpkit.config import Config, ServedAddress
from xdpkit.dataplane.dataplane import DataPlane
from xdpkit.slowpath.not_served import NotServed
from xdpkit.slowpath.slow_path import SlowPath


def lines(
    config: Config,
    dataplane: DataPlane,
    slow_path: SlowPath,
    changes: Collection[str],
    served: Collection[ServedAddress],
    metrics: str,
) -> Iterator[str]:
    """Lines for the log; ``changes`` are those made to the NIC; ``metrics`` is a URL or empty."""
    tcp_path = slow_path.tcp
    services = [(name, "udp", port) for name, port in config.ports().items()]
    if tcp_path:
        services.append(("dns", "tcp", tcp_path.config.port))
    elif config.dns:
        yield "no DNS over TCP (slow_path, tcp_connections): truncated answers cannot be retried"
    queues = ", ".join(str(queue.number) for queue in dataplane.queues)
    copying = "zero-copy" if dataplane.zerocopy else "copy"
    yield f"{dataplane.interface.name}: XDP {dataplane.mode}, AF_XDP {copying}, queue {queues}"
    yield from (*changes, *dataplane.notes, *(tcp_path.notes() if tcp_path else ()))
    yield _serving(services, slow_path.not_served, served)
    if metrics:
        yield f"metrics at {metrics}"
    yield "all other queues and packets stay with the kernel; stop with SIGTERM"


def _serving(
    services: Collection[tuple[str, str, int]],
    not_served: Collection[NotServed],
    served: Collection[ServedAddress],
) -> str:
    """What is served where; ``services`` are names, protocols and ports."""
    words = []
    places = {each.address for each in served}
    for name, protocol, port in services:
        missing = sum((each.service, each.protocol) == (name, protocol) for each in not_served)
        if not missing or missing < len(places):
            words.append(f"{name} on {protocol.upper()} {port}")
            if missing:
                words[-1] += f" (not at {missing} of {len(places)} addresses, see above)"
    where = ", ".join(map(str, served)) or "no address yet"
    return f"serving {', '.join(words) or 'nothing, see above,'} at {where}"
