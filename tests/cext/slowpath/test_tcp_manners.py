"""DNS over TCP: misbehaving clients, too many clients, and how connections are closed."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from dns_bytes_call import HEAD, BytesCall
from tcp_client import TcpClient, framed, numbered
from tcp_loopback import LoopbackServer, loopback_server, query, sized

from xdpkit._core._snapshot import Snapshot
from xdpkit._core._tcp_listener import ENDS
from xdpkit.slowpath.tcp import open_listener

ZONE = HEAD + "ns1 A 192.0.2.1\nwww A 192.0.2.2\n" + sized("large", 240)
WWW = query("www.z.example")
LARGE = query("large.z.example", "TXT")
SHORT_NS = 1_000_000_000
LONG_NS = 60_000_000_000


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return BytesCall(tmp_path_factory.mktemp("zones"), {"z.example": ZONE}).snapshot


@pytest.fixture
def server(snapshot: Snapshot) -> Iterator[LoopbackServer]:
    with loopback_server(snapshot) as server:
        yield server


def serves(server: LoopbackServer, source: str = "127.0.0.1") -> bool:
    """A new client gets its answer."""
    with server.connect(source) as client:
        return client.ask(WWW) == [server.expected(WWW)]


# ---------------------------------------------------------------------------------------- garbage

GARBAGE = {
    "a length of 0": (b"\0\0", "framing"),
    "half a header": (framed(WWW[:11]), "message"),
    "one byte": (framed(b"x"), "message"),
    "a response": (framed(WWW[:2] + b"\x80" + WWW[3:]), "message"),
}


@pytest.mark.parametrize("case", GARBAGE)
@pytest.mark.parametrize("more", [b"", framed(WWW) * 100], ids=["alone", "and more"])
def test_garbage_ends_the_connection(server: LoopbackServer, case: str, more: bytes) -> None:
    """Queries before the garbage are answered, those after it are not."""
    data, reason = GARBAGE[case]
    with server.connect() as client:
        client.socket.sendall(framed(WWW, WWW) + data + more)
        assert client.rest() == [server.expected(WWW)] * 2
    counters = server.until_ended(**{reason: 1})
    assert counters["queries"] == 2 + (reason == "message")
    assert serves(server)


def test_garbage_after_large_answers(server: LoopbackServer) -> None:
    """The answers are sent first."""
    asked = numbered(LARGE, range(20))
    with server.connect(receive_buffer=4096) as client:
        client.socket.sendall(framed(*asked) + b"\0\0")
        assert client.rest() == [server.expected(one) for one in asked]
    server.until_ended(framing=1)


@pytest.mark.parametrize("length", range(1, len(framed(WWW))))
def test_half_a_message_then_close(server: LoopbackServer, length: int) -> None:
    with server.connect() as client:
        client.socket.sendall(framed(WWW)[:length])
        client.socket.shutdown(socket.SHUT_WR)
        assert client.ended()
    server.until_ended(client=1)


def test_a_reset(server: LoopbackServer) -> None:
    clients = [server.connect(receive_buffer=4096) for _ in range(3)]
    clients[1].socket.sendall(framed(WWW)[:5])
    clients[2].send(*numbered(LARGE, range(10)))
    server.until(lambda counters: counters["queries"] >= 2, "answers")
    for client in clients:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()
    server.until_ended(error=3)
    assert serves(server)


# ------------------------------------------------------------------------------------------- time


def test_an_idle_connection_ends(snapshot: Snapshot) -> None:
    with loopback_server(snapshot, idle_ns=SHORT_NS) as server, server.connect() as client:
        assert client.ask(WWW) == [server.expected(WWW)]
        assert client.ended()
        server.until_ended(idle=1)


def test_half_messages_do_not_count(snapshot: Snapshot) -> None:
    """Bytes that trickle in do not keep a connection open; complete queries do."""
    with (
        loopback_server(snapshot, idle_ns=3_000_000_000) as server,
        server.connect() as busy,
        server.connect() as dripping,
    ):
        dripping.socket.sendall(struct.pack("!H", 4000))
        with suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(1000):
                dripping.socket.sendall(b"x")
                assert busy.ask(WWW) == [server.expected(WWW)]
                time.sleep(0.05)
        server.until_ended(idle=1)
        assert busy.ask(WWW) == [server.expected(WWW)]


def test_a_client_that_does_not_read(snapshot: Snapshot) -> None:
    """Its answers are not kept forever, and a reset shows that they were cut short."""
    with loopback_server(snapshot, idle_ns=SHORT_NS) as server:
        with server.connect(receive_buffer=4096) as client:
            client.send(*numbered(LARGE, range(30)))
            server.until_ended(unread=1)
            with pytest.raises(ConnectionResetError):
                client.rest()
        assert serves(server)


def test_a_client_that_never_closes(snapshot: Snapshot) -> None:
    """After closing our side we wait for the client's, but not forever."""
    with loopback_server(snapshot, idle_ns=SHORT_NS) as server, server.connect() as client:
        client.socket.sendall(b"\0\0")
        assert client.ended()
        server.until_ended(framing=1)
        assert server.counters()["open"] == 0


def test_a_quarter_of_the_time_when_nearly_full(snapshot: Snapshot) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(
            loopback_server(snapshot, connections=16, idle_ns=8_000_000_000)
        )
        clients = [stack.enter_context(server.connect(f"127.0.1.{n}")) for n in range(13)]
        assert clients[0].ended()
        # At 3/4 of the slots the full time applies again; otherwise all would close at once.
        counters = server.until_ended(idle=1)
        assert counters["open"] == 12


# ------------------------------------------------------------------------------------------ limits


def test_queries_of_one_connection(snapshot: Snapshot) -> None:
    with loopback_server(snapshot, queries=3) as server:
        for number in range(2):
            with server.connect() as client:
                client.send(*[WWW] * 10)
                assert client.rest() == [server.expected(WWW)] * 3
            server.until_ended(queries=number + 1)


def test_the_share_of_a_source(snapshot: Snapshot) -> None:
    """An eighth of all slots; others are still served, and so is the source once it has fewer."""
    with loopback_server(snapshot, connections=64) as server, ExitStack() as stack:
        flood = [stack.enter_context(server.connect("127.0.0.2")) for _ in range(8)]
        assert all(client.ask(WWW) for client in flood)
        for _ in range(20):
            # The reset may arrive before connect() returns.
            with suppress(ConnectionResetError), server.connect("127.0.0.2") as refused:
                assert refused.ended()
        server.until_ended(source=20)
        assert serves(server, "127.0.0.3")
        assert all(client.ask(WWW) for client in flood)
        flood[5].socket.close()
        server.until(lambda counters: counters["open"] == 7, "the end of one")
        assert serves(server, "127.0.0.2")


def test_the_connection_idle_longest_makes_room(snapshot: Snapshot) -> None:
    with loopback_server(snapshot, connections=8) as server, ExitStack() as stack:
        clients = [stack.enter_context(server.connect(f"127.0.1.{n}")) for n in range(8)]
        server.until(lambda counters: counters["open"] == 8, "eight of them")
        # Not the first to connect, but the first of those that have not sent a query.
        for n in (0, 1, 2, 4):
            assert clients[n].ask(WWW)
        for n in range(3):
            newer = stack.enter_context(server.connect(f"127.0.2.{n}"))
            assert newer.ask(WWW)
        counters = server.until_ended(displaced=3)
        assert counters["open"] == 8
        assert [clients[n].ended() for n in (3, 5, 6)] == [True] * 3
        assert all(clients[n].ask(WWW) for n in (7, 0, 1, 2, 4))


def test_many_slow_readers(snapshot: Snapshot) -> None:
    """When there is no more room, the slowest of the clients that do not read are closed."""
    with loopback_server(snapshot, connections=64) as server, ExitStack() as stack:
        slow = []
        for n in range(6):
            client = stack.enter_context(server.connect(f"127.0.1.{n}", receive_buffer=4096))
            client.send(*numbered(LARGE, range(30)))
            server.until(lambda c, n=n: c["queries"] >= 2 * (n + 1), "two answers")
            slow.append(client)
        # One in sixteen connections may have unsent answers: four.
        server.until_ended(displaced=2)
        for client in slow[:2]:
            with pytest.raises(ConnectionResetError):
                client.rest()
        for client in slow[2:]:
            assert len([client.receive() for _ in range(30)]) == 30
        assert serves(server)


def test_many_long_queries(snapshot: Snapshot) -> None:
    """There is room for some, and who began first goes first; a page suffices for all others."""
    long = (65535).to_bytes(2, "big") + WWW
    with loopback_server(snapshot, connections=64, idle_ns=LONG_NS) as server, ExitStack() as stack:
        clients = []
        for n in range(6):
            client = stack.enter_context(server.connect(f"127.0.1.{n}"))
            client.socket.sendall(long)
            server.until(lambda c, n=n: c["batches"] > n, "the beginning of a query")
            clients.append(client)
        server.until_ended(displaced=2)
        assert [client.ended() for client in clients[:2]] == [True, True]
        assert serves(server)
        for client in clients[2:]:
            client.socket.sendall(bytes(65535 - len(WWW)))
            # Bytes after the question: FORMERR.
            assert client.receive()[3] & 15 == 1
            assert client.ask(WWW) == [server.expected(WWW)]


@pytest.mark.parametrize("sent", [b"\xff\xff" + WWW, b"GET / HTTP/1.1\r\n\r\n"])
def test_a_long_query_that_never_ends(snapshot: Snapshot, sent: bytes) -> None:
    with loopback_server(snapshot, connections=16, idle_ns=SHORT_NS) as server:
        with server.connect() as client:
            client.socket.sendall(sent)
            server.until_ended(idle=1)
        with server.connect() as client:
            client.socket.sendall((9000).to_bytes(2, "big") + WWW + bytes(9000 - len(WWW)))
            assert client.receive()[3] & 15 == 1


def test_a_storm(snapshot: Snapshot) -> None:
    """Clients of every kind at once for a while; afterwards all slots are free again."""

    def storm(server: LoopbackServer, seed: int) -> None:
        for n in range(60):
            data = [framed(WWW), framed(WWW)[:9], b"\0\0", framed(*[LARGE] * 5), framed(LARGE)]
            data.append((50000).to_bytes(2, "big") + bytes(n * 1000))
            with (
                suppress(ConnectionError),
                server.connect(f"127.0.3.{1 + n % 19}", receive_buffer=4096) as client,
            ):
                client.socket.sendall(data[(seed + n) % len(data)])
                if n % 3:
                    client.socket.recv(10)

    with loopback_server(snapshot, connections=12, idle_ns=SHORT_NS) as server:
        threads = [threading.Thread(target=storm, args=(server, n)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counters = server.until(lambda counters: counters["open"] == 0, "the end of all")
        assert counters["accepted"] == sum(counters["ended"].values()) == 240
        assert serves(server)


# ---------------------------------------------------------------------------- sockets and shutdown


def test_a_listening_socket_is_removed(server: LoopbackServer) -> None:
    """Its connections stay open."""
    other = open_listener("127.0.0.9", 0, 0, 10)
    address = other.getsockname()
    server.listener.add(other)
    with TcpClient(address) as client:
        assert client.ask(WWW) == [server.expected(WWW)]
        server.listener.remove(other)
        server.shared.publish(server.snapshot)
        server.until(lambda _: server.shared.collect() == 0, "the thread to let go")
        other.close()
        with pytest.raises(ConnectionRefusedError):
            TcpClient(address)
        assert client.ask(WWW) == [server.expected(WWW)]
    assert serves(server)


def test_shutdown_of_the_server(snapshot: Snapshot) -> None:
    with loopback_server(snapshot) as server, ExitStack() as stack:
        clients = [stack.enter_context(server.connect(receive_buffer=4096)) for _ in range(5)]
        clients[1].socket.sendall(b"\0")
        clients[2].send(*numbered(LARGE, range(30)))
        assert clients[3].ask(WWW)
        server.until(lambda counters: counters["open"] == 5, "five of them")
        server.listener.stop()
        server.listener.join()
        counters = server.counters()
        assert (counters["open"], counters["ended"]["stopped"]) == (0, 5)
        for client in (clients[0], clients[1], clients[3]):
            assert client.ended()
        with pytest.raises(ConnectionResetError):
            clients[2].rest()


def test_it_sleeps_when_there_is_nothing_to_do(server: LoopbackServer) -> None:
    """With idle connections, half a message received, or a client that was slow before."""
    with (
        server.connect() as client,
        server.connect() as half,
        server.connect(receive_buffer=4096) as late,
    ):
        half.socket.sendall(framed(WWW)[:5])
        assert len(late.ask(*[LARGE] * 20)) == 20
        assert client.ask(WWW)
        before = server.counters()
        time.sleep(2)
        after = server.counters()
    assert after["heartbeat"] - before["heartbeat"] < 10


def test_every_reason_has_a_meaning() -> None:
    assert all(ENDS.values()) and len(ENDS) == 11


def test_memory_is_allocated_at_the_start(snapshot: Snapshot) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    with loopback_server(snapshot, connections=400) as server, ExitStack() as stack:
        before = resident()
        for n in range(400):
            client = stack.enter_context(server.connect(f"127.0.4.{n % 200}", receive_buffer=4096))
            client.send(*[LARGE] * 20)
        server.until(lambda counters: counters["accepted"] == 400, "all of them")
        server.until(lambda counters: counters["queries"] == 800, "two answers each")
        # Python's own share: several hundred sockets.
        assert resident() - before < 400
