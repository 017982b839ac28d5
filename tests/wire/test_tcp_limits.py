"""DNS over TCP at its limits: full, flooded, out of descriptors, turned off, stopped."""

from __future__ import annotations

import resource
import socket
import struct
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from serving import CONFIG, ZONE, Server, eventually, serving, write_config
from tcp_client import framed, numbered
from tcp_serving import HUGE, WHOLE, WWW, connect, limited, listening, tcp

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns


def test_a_port_that_is_taken(lab: Lab, tmp_path: Path) -> None:
    """It is logged with its fix; the other addresses, and UDP, still answer."""
    config = CONFIG.replace('zones = "zones"\n', 'zones = "zones"\nport = 1053\n')
    with lab.server.entered():
        holder = socket.create_server((lab.server.ipv4, 1053))
    with holder, serving(lab, tmp_path, config) as server:
        [line] = [line for line in server.log().splitlines() if "in use by" in line]
        assert "TCP 192.0.2.1:1053: in use by " in line
        assert "ss -ltnp sport = :1053" in line and "tcp_connections = 0" in line
        assert tcp(server)["listening"] == len(listening(lab)) - 1 > 0
        assert lab.server.ipv6 in listening(lab)
        dug = lab.client.run("dig", "+short", "-p", "1053", "@192.0.2.1", "www.example")
        assert dug.stdout.split() == ["192.0.2.80"]


def test_turned_off(lab: Lab, tmp_path: Path) -> None:
    with limited(lab, tmp_path, connections=0) as server:
        assert listening(lab) == set()
        assert "tcp" not in server.status()["slow_path"]
        assert "no DNS over TCP" in server.log() and "dns on TCP" not in server.log()
        with pytest.raises(ConnectionRefusedError):
            connect(lab)


# ----------------------------------------------------------------------------------------- limits


def test_a_flood_from_one_source(lab: Lab, tmp_path: Path) -> None:
    """For IPv6, a /64 is one source: it gets its share, everyone else is still served."""
    lab.client.run("ip", "addr", "add", "2001:db8::3/64", "dev", "client0", "nodad")
    with limited(lab, tmp_path, connections=80, idle=60) as server, ExitStack() as stack:
        for n in range(300):
            source = lab.client.ipv6 if n % 2 else "2001:db8::3"
            try:
                stack.enter_context(connect(lab, 6, source))
            except ConnectionResetError:
                continue
        eventually(lambda: tcp(server)["accepted"] == 300, "all of them")
        facts = tcp(server)
        assert (facts["open"], facts["source"]) == (10, 290)
        for _ in range(20):
            with connect(lab) as client:
                assert client.ask(WWW)[0][6:8] == b"\0\1"


def test_idle_connections_and_memory(lab: Lab, tmp_path: Path) -> None:
    """Slow, stalled and greedy clients fill the table: no memory growth, and they time out."""
    sources = [f"192.0.2.{n}" for n in range(100, 120)]
    for source in sources:
        lab.client.run("ip", "addr", "add", f"{source}/24", "dev", "client0")
    with limited(lab, tmp_path, connections=200, idle=2) as server:
        for _ in range(2):
            before = server.resident_pages()
            with ExitStack() as stack:
                for n in range(200):
                    client = connect(lab, 4, sources[n % 20], receive_buffer=4096)
                    stack.enter_context(client)
                    wanted = framed(*numbered(WHOLE, range(20)))
                    client.socket.sendall(wanted[: (1, 9, len(wanted))[n % 3]])
                eventually(lambda: tcp(server)["open"] == 0, "the end of them")
        assert server.resident_pages() - before < 64
        assert tcp(server)["unread"] > 0 and tcp(server)["idle"] > 0
        assert server.log().count("\n") < 12
        with connect(lab) as client:
            assert client.ask(WWW)[0][6:8] == b"\0\1"
    for source in sources:
        lab.client.run("ip", "addr", "del", f"{source}/24", "dev", "client0")


def test_no_descriptor_left(lab: Lab, tmp_path: Path) -> None:
    """Open connections are still served, nothing spins, and waiting ones are accepted later."""
    with limited(lab, tmp_path, connections=100, idle=60) as server, ExitStack() as stack:
        pid = server.process.pid
        first = stack.enter_context(connect(lab))
        assert first.ask(WWW)
        used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, limits[1]))
        waiting = [stack.enter_context(connect(lab)) for _ in range(5)]
        for client in waiting:
            client.send(WWW)
        # Each replaces the one before, and gets its answer.
        assert all(client.receive()[6:8] == b"\0\1" for client in waiting[:4])
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        late = stack.enter_context(connect(lab))
        late.send(WWW)
        time.sleep(0.5)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        assert late.receive()[6:8] == b"\0\1"
        facts = tcp(server)
        assert facts["pauses"] > 0
        # A spinning loop would turn several hundred thousand times a second.
        assert facts["loop"]["heartbeat"] < 10_000


def test_too_few_descriptors_are_logged_at_the_start(lab: Lab, tmp_path: Path) -> None:
    with serving(lab, tmp_path, before=("prlimit", "--nofile=1500:1500")) as server:
        [line] = [line for line in server.log().splitlines() if "1500" in line]
        assert "tcp_connections = 1000" in line and "LimitNOFILE" in line


def test_the_end_of_the_server(lab: Lab, tmp_path: Path) -> None:
    """Connections of every kind do not delay it; the next one can listen immediately."""
    for _ in range(2):
        server = Server(lab.server, write_config(tmp_path, CONFIG, ZONE + HUGE))
        with ExitStack() as stack:
            clients = [stack.enter_context(connect(lab, receive_buffer=4096)) for _ in range(4)]
            assert clients[0].ask(WWW)
            clients[1].socket.sendall(struct.pack("!H", 50))
            clients[2].send(*numbered(WHOLE, range(30)))
            eventually(lambda s=server: tcp(s)["open"] == 4, "four connections")
            assert server.stop() == 0, server.log()
            assert listening(lab) == set()
            assert clients[0].ended() and clients[1].ended() and clients[3].ended()
