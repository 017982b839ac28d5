"""The lab: two network namespaces joined by a multiqueue veth pair, for demo, tests and benchmarks.

    namespace SERVER                     namespace CLIENT
    server0  192.0.2.1, 2001:db8::1 ==== client0  192.0.2.2, 2001:db8::2

Nothing outside the two namespaces is touched. They are named after this process, so several labs
can coexist, and they go away with it however it ends: a small shell, the reaper, waits on a pipe
that only this process holds open.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pyroute2 import IPRoute, netns
from pyroute2.netlink.exceptions import NetlinkError

from xdpkit.errors import LabError
from xdpkit.nic.os import ethtool
from xdpkit.nic.os.interface import Interface, from_link
from xdpkit.runtime.closing import Closing

# RFC 5737 and RFC 3849: documentation addresses, which nobody has.
SERVER_IPV4, CLIENT_IPV4 = "192.0.2.1", "192.0.2.2"
SERVER_IPV6, CLIENT_IPV6 = "2001:db8::1", "2001:db8::2"

# linux/if_addr.h: duplicate address detection would hold an address back for two seconds.
IFA_F_NODAD = 0x02

# Kills what still runs in the namespaces (all started by the lab's owner) and deletes them.
REAPER = """
trap '' INT TERM HUP
# EOF without a line: the owner died, and a program it just started may not be inside yet.
read -r _ || sleep 0.2
for name in "$@"; do
    for pid in $(ip netns pids "$name" 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
    ip netns delete "$name" 2>/dev/null
done
"""

_serial = itertools.count(1)


@dataclass(frozen=True)
class Side:
    """One end of the lab: its namespace's name, its interface and its addresses."""

    namespace: str
    ifname: str
    ipv4: str
    ipv6: str
    children: list[subprocess.Popen[str]] = field(default_factory=list, compare=False, repr=False)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Moves the calling thread into the namespace: sockets made inside stay there for good."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            netns.setns(self.namespace)
            try:
                yield
            finally:
                netns.setns(home)
        finally:
            os.close(home)

    def interface(self) -> Interface:
        """The current facts about this side's interface."""
        with IPRoute(netns=self.namespace) as ipr:
            index = ipr.link_lookup(ifname=self.ifname)[0]
            return from_link(ipr.get_links(index)[0])

    def command(self, *argv: str) -> list[str]:
        """The command line that runs ``argv`` in the namespace, with a /sys of its own."""
        return ["ip", "netns", "exec", self.namespace, *argv]

    def popen(self, *argv: str, **options: Any) -> subprocess.Popen[str]:
        """Starts a program in the namespace; closing the lab kills it if its owner did not."""
        options.setdefault("stdin", subprocess.DEVNULL)
        child = subprocess.Popen(self.command(*argv), text=True, **options)
        self.children.append(child)
        return child

    def run(self, *argv: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs a program in the namespace to completion; returns its output and exit status."""
        return subprocess.run(
            self.command(*argv), text=True, capture_output=True, timeout=timeout, check=False
        )

    def send_on_queue(self, queue: int, queues: int) -> None:
        """Makes ordinary senders on this side use one TX queue, so they arrive on that RX queue.

        Transmit packet steering (linux Documentation/networking/scaling.rst, XPS): all CPUs on the
        chosen queue, none on the others.
        """
        all_cpus = f"{(1 << (os.cpu_count() or 1)) - 1:x}"
        script = "; ".join(
            f"echo {all_cpus if q == queue else 0} > "
            f"/sys/class/net/{self.ifname}/queues/tx-{q}/xps_cpus"
            for q in range(queues)
        )
        done = self.run("sh", "-ec", script)
        if done.returncode:
            raise LabError(f"XPS on {self.ifname}: {done.stderr.strip()}")


class Lab(Closing):
    """Two joined namespaces, as a context manager. Raises LabError if they cannot be made."""

    def __init__(self, queues: int = 4) -> None:
        self.queues = queues
        stem = f"xdpkit-{os.getpid()}-{next(_serial)}"
        self.server = Side(f"{stem}-server", "server0", SERVER_IPV4, SERVER_IPV6)
        self.client = Side(f"{stem}-client", "client0", CLIENT_IPV4, CLIENT_IPV6)
        self._reaper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise LabError("the lab creates network namespaces: run as root (sudo)")
        names = [side.namespace for side in (self.server, self.client)]
        # Its own session: an interrupt from the terminal must not reach the reaper.
        self._reaper = subprocess.Popen(
            ["sh", "-c", REAPER, "xdpkit-reaper", *names],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self._build()
        except (OSError, NetlinkError) as error:
            self.close()
            raise LabError(
                f"the lab's namespaces could not be created: {error}; this needs CAP_NET_ADMIN, "
                "CAP_SYS_ADMIN, and a kernel with network namespaces and veth"
            ) from error
        except BaseException:
            self.close()
            raise
        return self

    def _build(self) -> None:
        Path(netns.NETNS_RUN_DIR).mkdir(parents=True, exist_ok=True)
        for side in (self.server, self.client):
            netns.create(side.namespace)
        self.join()

    def join(self) -> None:
        """Creates the veth pair; tests call it again after deleting the pair."""
        with IPRoute(netns=self.server.namespace) as ipr, netns_fd(self.client) as peer:
            shape = {"num_tx_queues": self.queues, "num_rx_queues": self.queues}
            ipr.link(
                "add",
                ifname=self.server.ifname,
                kind="veth",
                **shape,
                peer={"ifname": self.client.ifname, "net_ns_fd": peer, **shape},
            )
        for side in (self.server, self.client):
            self._configure(side)

    def _configure(self, side: Side) -> None:
        with IPRoute(netns=side.namespace) as ipr:
            index = ipr.link_lookup(ifname=side.ifname)[0]
            ipr.link("set", index=ipr.link_lookup(ifname="lo")[0], state="up")
            ipr.addr("add", index=index, address=side.ipv4, prefixlen=24)
            ipr.addr("add", index=index, address=side.ipv6, prefixlen=64, flags=IFA_F_NODAD)
            ipr.link("set", index=index, state="up")
        with side.entered():
            # Otherwise frames from local sockets carry a partial checksum, as on no real wire.
            ethtool.set_tx_checksums(side.ifname, False)

    def close(self) -> None:
        """Deletes the namespaces and kills what still runs in them; idempotent."""
        reaper, self._reaper = self._reaper, None
        if reaper is None:
            return
        for child in (*self.server.children, *self.client.children):
            child.kill()
            child.wait()
        reaper.communicate(b"done\n")


@contextmanager
def netns_fd(side: Side) -> Iterator[int]:
    """The namespace as a file descriptor, for netlink messages."""
    fd = os.open(f"{netns.NETNS_RUN_DIR}/{side.namespace}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
