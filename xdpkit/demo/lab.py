"""``xdpkit demo``: shows the server at work in the lab, on real packets, with a readable result.

Each step checks facts; they are printed one by one and, with ``--json``, all together at the end.
If a check fails, the exit status is 1.
"""

from __future__ import annotations

import json as json_text
import shutil
import socket
import sys
import time
from typing import Any

import dns.message
from rich.console import Console
from rich.table import Table

from xdpkit._core._stats import VERDICTS
from xdpkit.bench import cpu
from xdpkit.bench.rows import Row
from xdpkit.bench.speed import measure
from xdpkit.demo import pool
from xdpkit.demo.facts import Demo
from xdpkit.demo.zone import ADDRESS, CONFIGURATION, NAME, ZONE
from xdpkit.errors import LabError
from xdpkit.lab.served import ServedLab
from xdpkit.services.ntp import client as ntp_client
from xdpkit.status.view import parts

QUEUES = 4
CHOSEN = 2

# The client programs used in the lab, and their Debian packages.
CLIENTS = {"dig": "bind9-dnsutils", "ping": "iputils-ping"}

# Targets relative to the bare echo on the same loop: NTP, and DNS from a zone of ten names.
TARGETS = {"ntp": 0.9, "dns": 0.85}

# What a queue is asked: dig over IPv4 and IPv6, and NTP.
REQUESTS = 3
# How long the count of an answer may come after the answer.
COUNT_SECONDS = 2.0


def main(json: bool = False, debug: bool = False) -> int:
    """Runs the demo; returns the exit status. Raises XdpkitError if the lab cannot be created."""
    if missing := [name for name in CLIENTS if not shutil.which(name)]:
        packages = " ".join(CLIENTS[name] for name in missing)
        raise LabError(
            f"the demo needs {' and '.join(missing)}, not installed here: apt-get install "
            f"{packages}"
        )
    console = Console(stderr=json, highlight=False)
    if not console.is_terminal:
        console.width = 100
    console.print(
        "[bold]xdpkit demo[/]: two network namespaces, a veth pair of four queues, real packets"
    )
    server_cpu = str(cpu.split()[1])
    configuration = CONFIGURATION + pool.CONFIGURATION
    files = {"zones/example.zone": ZONE, **pool.FILES}
    with ServedLab(configuration, files, QUEUES, server_cpu) as served:
        demo = Demo(served, console)
        for step in (
            check_attached,
            check_clients,
            pool.check_pool,
            check_kernel_traffic,
            measure_speed,
            check_counters,
            check_detached,
        ):
            step(demo)
        if debug:
            console.print(served.log())
    demo.facts["failed"] = demo.failed
    if json:
        print(json_text.dumps(demo.facts, indent=2))
    console.print()
    if demo.failed:
        print(f"xdpkit: the demo failed: {'; '.join(demo.failed)}", file=sys.stderr)
    return 1 if demo.failed else 0


def check_attached(demo: Demo) -> None:
    """The XDP program is attached, and the queue is served."""
    demo.title("1. The eBPF program is attached, one queue of four is ours")
    interface = demo.served.lab.server.interface()
    status = demo.served.status()
    for line in demo.served.log().splitlines():
        demo.console.print(f"      {line}")
    demo.check(
        f"XDP program {interface.xdp_program} on {interface.name}, {status['mode']} mode",
        interface.xdp_program is not None,
    )
    demo.check(
        f"AF_XDP serves queue {', '.join(status['queues'])}, the kernel has queues 0, 1 and 3",
        list(status["queues"]) == [str(CHOSEN)],
    )
    demo.facts |= {"mode": status["mode"], "zerocopy": status["zerocopy"]}


def check_clients(demo: Demo) -> None:
    """dig and an NTP client get answers on each queue in turn."""
    demo.title("2. dig and an NTP client get correct answers on every queue")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 6))
    for heading in ("queue", "answered by", f"dig {NAME}", "over IPv6", "NTP stratum", "offset"):
        table.add_column(heading)
    side, right = demo.served.lab.client, 0
    demo.facts["clients"] = {}
    for queue in range(QUEUES):
        side.send_on_queue(queue, QUEUES)
        before = demo.served.status()
        dug = [
            dig(demo, server)
            for server in (demo.served.lab.server.ipv4, demo.served.lab.server.ipv6)
        ]
        with side.entered():
            sample = ntp_client.ask(demo.served.lab.server.ipv4)
        ring, slow = answers_since(demo, before)
        by = (
            "AF_XDP"
            if (ring, slow) == (REQUESTS, 0)
            else "slow path"
            if (ring, slow) == (0, REQUESTS)
            else "?"
        )
        offset = f"{sample.offset * 1e6:+.0f} us"
        table.add_row(str(queue), by, *dug, str(sample.stratum), offset)
        demo.facts["clients"][str(queue)] = {"by": by, "dig": dug, "offset_s": sample.offset}
        # Both ends read the same clock: however late a packet was, the offset is within half the
        # delay (RFC 5905 section 8); 0.1 ms allows for floating point and clock reads.
        right += (
            by == ("AF_XDP" if queue == CHOSEN else "slow path")
            and dug == [ADDRESS, ADDRESS]
            and abs(sample.offset) <= sample.delay / 2 + 1e-4
        )
    demo.console.print(table)
    demo.check(
        f"{right} of {QUEUES} queues answered correctly, by the expected path", right == QUEUES
    )


def answers_since(demo: Demo, before: dict[str, Any]) -> tuple[int, int]:
    """Answers by the ring and by the UDP listener, once they are as many as the requests.

    A listener counts an answer after sending it, so on a busy machine the count comes later.
    """
    deadline = time.monotonic() + COUNT_SECONDS
    while True:
        after = demo.served.status()
        ring = after["queues"][str(CHOSEN)]["tx"] - before["queues"][str(CHOSEN)]["tx"]
        slow = after["slow_path"]["udp"]["tx"] - before["slow_path"]["udp"]["tx"]
        if ring + slow >= REQUESTS or time.monotonic() > deadline:
            return ring, slow
        time.sleep(0.01)


def dig(demo: Demo, server: str) -> str:
    """What dig, run in the client's namespace, prints for the demo's name."""
    return demo.served.lab.client.run(
        "dig", "+short", "+tries=1", "+timeout=2", f"@{server}", NAME, "A"
    ).stdout.strip()


def check_kernel_traffic(demo: Demo) -> None:
    """Ping and TCP work while we serve, on the chosen queue as well."""
    demo.title("4. Everything else is left to the kernel, on the chosen queue, too")
    lab = demo.served.lab
    lab.client.send_on_queue(CHOSEN, QUEUES)
    for name, address in (("IPv4", lab.server.ipv4), ("IPv6", lab.server.ipv6)):
        ping = lab.client.run("ping", "-c", "3", "-i", "0.2", "-W", "2", address)
        demo.check(
            f"ping over {name}: {' '.join(ping.stdout.splitlines()[-2:-1])}", ping.returncode == 0
        )
    demo.check("TCP connects and carries data", tcp_works(demo))


def tcp_works(demo: Demo) -> bool:
    """A client connects to a listening socket in the server's namespace; bytes go both ways."""
    lab = demo.served.lab
    with lab.server.entered():
        listener = socket.create_server((lab.server.ipv4, 0))
    with listener, lab.client.entered():
        near = socket.create_connection(listener.getsockname()[:2], timeout=5)
        far, _ = listener.accept()
    with near, far:
        far.settimeout(5)
        near.sendall(b"there")
        far.sendall(b"back")
        return far.recv(16) == b"there" and near.recv(16) == b"back"


def measure_speed(demo: Demo) -> None:
    """Answers per second, compared with a bare echo on the same loop, queue and generator."""
    demo.title(
        "5. Answers per second on queue 2, compared with a bare echo of the same size on that loop"
    )
    query = dns.message.make_query(NAME, "A", use_edns=0, payload=1232, id=0).to_wire()
    # The reply adds an A record; query and reply both have an OPT record: RFC 1035 section 4.1.3.
    reply_bytes = len(query) + 16
    rows = [
        Row("echo", "echo", 7),
        Row("ntp", "ntp", 123, beside="echo"),
        Row("echo-dns", "echo", 7, echo_bytes=reply_bytes),
        Row("dns", "dns", 53, queries=[query], beside="echo-dns"),
    ]
    with demo.console.status("") as status:
        outcomes = measure(
            demo.served, CHOSEN, rows, progress=lambda line: status.update(f"  {line}")
        )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 6))
    table.add_column("")
    for heading in ("answers/s", "min..max", "server CPU/answer", "ratio to echo"):
        table.add_column(heading, justify="right")
    demo.facts["speed"] = {name: outcome.as_dict() for name, outcome in outcomes.items()}
    for name, facts in demo.facts["speed"].items():
        table.add_row(
            name,
            f"{facts['answers_per_s']:,.0f}",
            f"{facts['answers_per_s_min']:,.0f}..{facts['answers_per_s_max']:,.0f}",
            f"{facts['cpu_us_per_answer']:.2f} us",
            f"{facts['ratio_to_echo']:.2f}" if "ratio_to_echo" in facts else "",
        )
    demo.console.print(table)
    bad = sum(outcome.bad for outcome in outcomes.values())
    demo.check(f"every reply checked: {bad} wrong, lost or duplicate", bad == 0)
    for name, target in TARGETS.items():
        ratio = demo.facts["speed"][name]["ratio_to_echo"]
        # On a shared machine a measurement is reported, not checked.
        demo.console.print(f"      {name}: {ratio:.2f} of the echo (target: {target})")


def check_counters(demo: Demo) -> None:
    """What ``xdpkit status`` shows for all that."""
    demo.title("6. Counters per queue and per verdict (xdpkit status)")
    status = demo.served.status()
    for part in parts(status, VERDICTS):
        demo.console.print(part)
    redirected = status["xdp"][str(CHOSEN)].get("redirected", 0)
    ring = status["queues"][str(CHOSEN)]
    demo.check(
        f"queue {CHOSEN}: {redirected:,} redirected, {ring['rx']:,} received, "
        f"{ring['tx']:,} answered",
        redirected == ring["rx"] == ring["tx"],
    )
    demo.facts["status"] = status


def check_detached(demo: Demo) -> None:
    """After SIGTERM, the kernel has the interface to itself again."""
    demo.title("7. SIGTERM: the kernel has the interface to itself again")
    status = demo.served.stop()
    interface = demo.served.lab.server.interface()
    demo.check(
        "the server exited with status 0, no XDP program left",
        not status and not interface.xdp_program,
    )
    ping = demo.served.lab.client.run("ping", "-c", "1", "-W", "2", demo.served.lab.server.ipv4)
    demo.check("ping still works", ping.returncode == 0)
