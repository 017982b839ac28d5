"""``xdpkit demo --interface``: serves on an interface of this machine, for requests from outside.

The sender knows how many requests it sends: this side serves until that many have arrived, shows
on which queue they were counted and what answered, stops the server, and says whether the counts
match. ``vagrant/ask.py`` is such a sender, and the VM's host runs it.
"""

from __future__ import annotations

import json as json_text
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRoute
from rich.console import Console

from xdpkit._core._stats import VERDICTS
from xdpkit.control.client import request
from xdpkit.demo.zone import CONFIGURATION, ZONE
from xdpkit.errors import ControlError, NicError
from xdpkit.lab.served import Served
from xdpkit.nic.os import names
from xdpkit.nic.os.interface import Interface, from_link
from xdpkit.status.view import parts

# After this long without a request, the missing ones count as lost.
QUIET_SECONDS = 60.0
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Wanted:
    """The command line: which queue of which interface, in which mode, for how many requests.

    With ``debug``, the whole log of a server that fails to start is printed.
    """

    interface: str
    queue: int
    mode: str
    requests: int
    debug: bool = False

    def configuration(self) -> str:
        """The lab's configuration, adapted to this interface."""
        text = CONFIGURATION.replace('"server0"', f'"{self.interface}"')
        return text.replace("queues = [2]", f'queues = [{self.queue}]\nmode = "{self.mode}"')


class ServedInterface(Served):
    """A server on an interface of this network namespace.

    Raises NicError with the server's last log line when it does not start.
    """

    # A VM without hardware virtualization takes half a minute to run bcc, or minutes on a busy
    # host.
    ready_seconds = 600.0
    stop_seconds = 30.0

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        debug = ["--debug"] if wanted.debug else []
        program = ("xdpkit", "run", *debug, "-c")
        super().__init__(wanted.configuration(), {"zones/example.zone": ZONE}, program)

    def _popen(self, argv: list[str], **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, text=True, **options)

    def _startup_error(self) -> NicError:
        lines = self.log().splitlines()
        if self._wanted.debug:
            print(*lines, sep="\n", file=sys.stderr)
        last = lines[-1] if lines else "the server did not start"
        return NicError(last.removeprefix("xdpkit: "))

    def status(self) -> dict[str, Any]:
        """The document of ``xdpkit status --json``. Raises ControlError."""
        document = request(self._wanted.interface, "status")
        if document["pid"] != self.pid:
            raise ControlError(f"{self._wanted.interface} is served by process {document['pid']}")
        return document


def main(wanted: Wanted, json: bool = False) -> int:
    """Serves, waits for the requests, checks the counts; returns the exit status.

    Raises XdpkitError.
    """
    # Without this, the server would be left running.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    console = Console(stderr=json, highlight=False)
    if not console.is_terminal:
        console.width = 100
    with ServedInterface(wanted) as served:
        for line in served.log().splitlines():
            console.print(line)
        # The sender waits for this line.
        console.print(f"ready: waiting for {wanted.requests} requests on {wanted.interface}")
        status = await_requests(served, wanted)
        for part in parts(status, VERDICTS):
            console.print(part)
        ended = served.stop()
    counted = counts(status, wanted.queue)
    failed = [what for what, good in judge(counted, wanted) if not good]
    if ended or read_interface(wanted.interface).xdp_program:
        failed.append("the server exits with status 0 and leaves no XDP program")
    for what in failed:
        print(f"xdpkit: the demo failed, this does not hold: {what}", file=sys.stderr)
    if json:
        facts = {"interface": wanted.interface, "queue": wanted.queue, "mode": status["mode"]}
        facts |= {"zerocopy": status["zerocopy"], "counts": counted, "failed": failed}
        print(json_text.dumps(facts, indent=2))
    else:
        verdict = "NO" if failed else "ok"
        console.print(f"{verdict}: queue {wanted.queue} on AF_XDP, all others left to the kernel")
    return 1 if failed else 0


def await_requests(served: ServedInterface, wanted: Wanted) -> dict[str, Any]:
    """The status once all requests are counted, or once none has arrived for a while."""
    seen, quiet_since = 0, time.monotonic()
    while True:
        status = served.status()
        now = status["queues"][str(wanted.queue)]["rx"] + slow_path_count(status, "rx")
        if now != seen:
            seen, quiet_since = now, time.monotonic()
        if seen >= wanted.requests or time.monotonic() - quiet_since > QUIET_SECONDS:
            return status
        time.sleep(POLL_SECONDS)


def slow_path_count(status: dict[str, Any], name: str) -> int:
    """A count of all listeners together."""
    return sum(listener[name] for listener in status["slow_path"].values())


def counts(status: dict[str, Any], queue: int) -> dict[str, Any]:
    """Requests counted by the XDP program per RX queue, by the ring and by the slow path."""
    xdp: dict[str, dict[str, int]] = status["xdp"]
    return {
        "redirected": {name: n["redirected"] for name, n in xdp.items() if "redirected" in n},
        "other_queue": {name: n["other_queue"] for name, n in xdp.items() if "other_queue" in n},
        "ring": {
            "rx": status["queues"][str(queue)]["rx"],
            "tx": status["queues"][str(queue)]["tx"],
        },
        "slow_path": {name: slow_path_count(status, name) for name in ("rx", "tx")},
    }


def judge(counted: dict[str, Any], wanted: Wanted) -> list[tuple[str, bool]]:
    """What must hold for the counts, and whether it does."""
    ring, slow = counted["ring"], counted["slow_path"]
    chosen, others = counted["redirected"], counted["other_queue"]
    name = str(wanted.queue)
    return [
        (
            f"only queue {name} is redirected ({chosen}), all of it answered on AF_XDP ({ring})",
            chosen == {name: ring["rx"]} and ring["rx"] == ring["tx"] > 0,
        ),
        (
            f"the other queues ({others}) are answered by the slow path ({slow})",
            name not in others and sum(others.values()) == slow["rx"] == slow["tx"] > 0,
        ),
        (
            f"{wanted.requests} requests arrived ({ring['rx']} + {slow['rx']})",
            ring["rx"] + slow["rx"] == wanted.requests,
        ),
    ]


def read_interface(ifname: str) -> Interface:
    """The current state of an interface of this network namespace."""
    with IPRoute() as ipr:
        return from_link(ipr.get_links(names.index_of(ifname))[0])
