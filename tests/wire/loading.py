"""The AF_XDP load generator at the client's end of the lab's wire."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_address

from payloads import query
from serving import PATIENCE, interface_of
from wire import PORTS

from xdpkit._core._loadgen import Generator
from xdpkit.lab.namespaces import Lab
from xdpkit.loadgen.setup import Load, request_header

# veth's receive ring holds 256 frames (drivers/net/veth.c): with fewer open, none is dropped.
WINDOW = 128

FAULTS = ("wrong", "duplicate", "lost", "open")

# Every answer is NOERROR and not truncated, which the load generator requires of a right one.
QUERIES = tuple(
    b"\0\0" + query(name, kind)[2:]
    for name, kind in (
        ("www.example", "A"),
        ("www.example", "AAAA"),
        ("x.wild.example", "TXT"),
        ("alias.example", "A"),
        ("example", "SOA"),
        ("deep.in.the.example", "A"),
    )
)


@contextmanager
def load_on(lab: Lab, queues: list[int]) -> Iterator[Load]:
    """The load generator's program and sockets on these queues of the client's interface."""
    with lab.client.entered():
        load = Load(interface_of(lab.client)[0], queues)
        load.__enter__()
    try:
        yield load
    finally:
        load.close()


def generator(
    lab: Lab, load: Load, queue: int, service: str, family: int, tags: tuple[int, ...] = ()
) -> Generator:
    """A load generator of requests for a service."""
    macs = (interface_of(lab.client)[1], interface_of(lab.server)[1])
    client, server = lab.client, lab.server
    pair = (client.ipv4, server.ipv4) if family == 4 else (client.ipv6, server.ipv6)
    addresses = (ip_address(pair[0]), ip_address(pair[1]))
    header = request_header(macs, addresses, PORTS[service], tags)
    return load.generator(queue, service, header, queries=QUERIES if service == "dns" else ())


def send_all(requests: Generator, count: int, patience: float = PATIENCE) -> dict[str, int]:
    """Sends ``count`` requests, each as soon as the window has room; returns the counters."""
    deadline = time.monotonic() + patience
    while requests.counters()["sent"] < count and time.monotonic() < deadline:
        requests.run(1.0, count=count, window=WINDOW)
    requests.finish(5.0)
    found: dict[str, int] = requests.counters()
    return {name: found[name] for name in ("sent", "answered", *FAULTS)}


@contextmanager
def under_way(requests: Generator, rate: int) -> Iterator[None]:
    """Sends requests at this rate during a block; at its end all have been sent and judged."""
    stop = False

    def work() -> None:
        while not stop:
            requests.run(0.2, rate=rate, window=WINDOW)
        requests.finish(5.0)

    with ThreadPoolExecutor(1) as thread:
        working = thread.submit(work)
        try:
            yield
        finally:
            stop = True
            working.result()


def all_answered(count: int) -> dict[str, int]:
    """The counters of a faultless run."""
    return {"sent": count, "answered": count} | dict.fromkeys(FAULTS, 0)
