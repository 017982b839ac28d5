"""The control socket's client: finding the instance, whom it trusts, malformed replies."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from control_lab import NOBODY, isolated, next_line, serving, stranger

from xdpkit.control import client as control_client
from xdpkit.control.client import address, instances, request
from xdpkit.errors import ControlError

IFACE = f"xc{os.getpid()}"


@contextlib.contextmanager
def answering(*parts: bytes) -> Iterator[None]:
    """A server that reads a request, sends these bytes and closes."""

    def once() -> None:
        with listener.accept()[0] as connection:
            connection.recv(1024)
            with contextlib.suppress(OSError):
                for part in parts:
                    connection.sendall(part)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address(IFACE))
        listener.listen()
        thread = threading.Thread(target=once)
        thread.start()
        yield
        thread.join(5)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    "answer",
    [
        b"\n",
        b"hello\n",
        b"[]\n",
        b"1\n",
        b"{}\n",
        b'{"reply": 3}\n',
        b'{"error": "x"}\n',
        b'{"error": "x", "exit_code": "y"}\n',
        b'{"reply": {}',
        b"[" * 100_000 + b"\n",
        b"\xff\n",
    ],
)
def test_malformed_replies(answer: bytes) -> None:
    with answering(answer), pytest.raises(ControlError, match="another version"):
        request(IFACE, "status")


def test_an_endless_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_client, "REPLY_LIMIT", 100_000)
    with answering(*[b"x" * 65536] * 8), pytest.raises(ControlError, match="not a reply"):
        request(IFACE, "status")


def test_an_instance_that_dies_or_sleeps() -> None:
    with answering(), pytest.raises(ControlError, match="ended without an answer"):
        request(IFACE, "status")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address(IFACE))
        listener.listen()
        start = time.monotonic()
        with pytest.raises(ControlError, match=r"no answer in 0\.2 s"):
            request(IFACE, "status", time_limit=0.2)
        assert time.monotonic() - start < 2


def test_a_full_backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(address(IFACE))
        listener.listen(0)
        with pytest.raises(BlockingIOError):  # noqa: PT012  (the kernel decides how many fit)
            while True:
                stack.enter_context(control_client.connect(IFACE, time_limit=0))
        slow, connect = 0.05, control_client.connect
        monkeypatch.setattr(control_client, "_CONNECT_SECONDS", slow)
        assert IFACE not in instances()
        monkeypatch.setattr(control_client, "connect", lambda ifname: connect(ifname, slow))
        with pytest.raises(ControlError, match="too many clients"):
            request(IFACE, "status")


def test_not_served() -> None:
    with pytest.raises(ControlError, match=f"^{IFACE}: not served in this network namespace"):
        request(IFACE, "status")
    with serving(IFACE), pytest.raises(ControlError, match=f"not served.*served here:.*{IFACE}"):
        request("other0", "status")


def test_a_name_too_long_for_a_socket() -> None:
    with pytest.raises(ControlError, match="too long"):
        request("x" * 200, "status")


@isolated
def test_without_a_name_the_only_instance_is_queried() -> None:
    with pytest.raises(ControlError, match="nothing is served in this network namespace: start"):
        request(None, "status")
    with serving("eth1"):
        assert instances() == ["eth1"]
        assert request(None, "status") == {"interface": "here"}
        with serving("eth0.100"):
            assert instances() == ["eth0.100", "eth1"]
            with pytest.raises(ControlError, match=r"name one: eth0\.100, eth1"):
                request(None, "status")
    assert instances() == []


@isolated
def test_instances_of_other_namespaces_are_hidden() -> None:
    with serving("eth1"):
        isolated(lambda: check_nothing_is_served())()


def check_nothing_is_served() -> None:
    assert instances() == []
    with pytest.raises(ControlError, match="not served"):
        request("eth1", "status")


@isolated
def test_squatters_are_neither_queried_nor_counted() -> None:
    script = """
forged = "\\0xdpkit/e\\nx: 1 1 00010000 1 1 1 @xdpkit/eth5\\n"
names = ["\\0xdpkit/eth0", forged, "\\0xdpkit/", "\\0\\xff"]
held = [socket.socket(socket.AF_UNIX) for _ in names]
for s, name in zip(held, names):
    s.bind(name); s.listen()
print("bound", flush=True); time.sleep(60)
"""
    with stranger(script) as squatter:
        assert next_line(squatter) == "bound"
        assert instances() == []
        with pytest.raises(ControlError, match=f"process {squatter.pid} of user {NOBODY}, not"):
            request("eth0", "status")
        with serving("eth1"):
            assert request(None, "status") == {"interface": "here"}
