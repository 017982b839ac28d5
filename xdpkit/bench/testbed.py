"""A testbed: one server in its own lab, pinned to a CPU, and the load generator that queries it.

Every server has its own pair of namespaces, so all of them are up at the same time and can be
measured in turn; idle ones sleep.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from pyroute2 import netns

from xdpkit import __version__
from xdpkit._core._loadgen import Generator
from xdpkit.bench import cpu
from xdpkit.bench.peers import Peer, serving
from xdpkit.bench.rows import OwnServer, Row
from xdpkit.lab.namespaces import Lab, Side
from xdpkit.lab.served import ServedLab
from xdpkit.loadgen.setup import Load, request_header


@dataclass(frozen=True)
class Entry:
    """A row ready to be measured: its load generator, server processes, our worker thread."""

    row: Row
    server: str
    generator: Generator
    pids: list[int]
    worker: tuple[int, int] | None = None
    """(process, thread) of the AF_XDP worker, if the server is ours."""
    mode: str = ""
    """How our program is attached, such as "native, copy"."""
    served: ServedLab | None = None
    """Our server, to query its status."""

    def cpu_used(self) -> cpu.CpuTime:
        """CPU time of the whole server."""
        return cpu.used(self.pids)

    def worker_ns(self) -> int:
        """CPU time of the worker thread, in nanoseconds; 0 if there is none."""
        return cpu.thread_ns(*self.worker) if self.worker else 0


@contextmanager
def own_server(
    server: OwnServer, server_cpu: int, wanted: Sequence[str], stamps: bool = False
) -> Iterator[list[Entry]]:
    """One of our servers with the wanted rows; ``stamps`` is as in ``Load``.

    Raises LabError and what Load raises.
    """
    program = server.program
    if server.arena:
        program = ("xdpkit.bench.server", str(server.arena))
    rows = [row for row in server.rows if row.name in wanted]
    served = ServedLab(server.configuration, server.files, 1, str(server_cpu), program)
    with served, ExitStack() as stack:
        status = served.status()
        worker = (served.pid, status["queues"]["0"]["thread"])
        mode = f"{status['mode']}, {'zero-copy' if status['zerocopy'] else 'copy'}"
        load = client_load(served.lab, stack, stamps)
        name = f"xdpkit {__version__}"
        yield [
            Entry(
                row,
                name,
                generator(served.lab, load, row, share=(which, len(rows))),
                [served.pid],
                worker,
                mode,
                served,
            )
            for which, row in enumerate(rows)
        ]


@contextmanager
def peer_server(peer: Peer, row: Row, server_cpu: int) -> Iterator[list[Entry]]:
    """A peer with its one row. Raises LabError and what Load raises."""
    with Lab(1) as lab, serving(lab, peer, server_cpu), ExitStack() as stack:
        load = client_load(lab, stack)
        yield [Entry(row, peer.version, generator(lab, load, row), pids_in(lab.server))]


def client_load(lab: Lab, stack: ExitStack, stamps: bool = False) -> Load:
    """The load generator's program and socket on the client's only queue."""
    with lab.client.entered():
        return stack.enter_context(Load(lab.client.interface(), [0], stamps))


def generator(
    lab: Lab, load: Load, row: Row, queue: int = 0, share: tuple[int, int] = (0, 1)
) -> Generator:
    """The load generator for a row, over IPv4; ``share`` is as in ``Load.generator``."""
    macs = (lab.client.interface().mac, lab.server.interface().mac)
    addresses = (ip_address(lab.client.ipv4), ip_address(lab.server.ipv4))
    header = request_header(macs, addresses, row.port)
    return load.generator(
        queue,
        row.service,
        header,
        queries=row.queries,
        echo_bytes=row.echo_bytes,
        addresses=row.addresses,
        share=share,
        clients=row.clients,
    )


def pids_in(side: Side) -> list[int]:
    """The processes in a namespace."""
    home = (Path(netns.NETNS_RUN_DIR) / side.namespace).stat()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                theirs = os.stat(f"/proc/{entry.name}/ns/net")  # noqa: PTH116
                if (theirs.st_dev, theirs.st_ino) == (home.st_dev, home.st_ino):
                    found.append(int(entry.name))
    return sorted(found)
