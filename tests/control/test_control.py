"""The control socket's server: the lock, who is answered what, and clients that mean ill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import anyio
import pytest
from control_lab import NOBODY, heard, isolated, needs_root, said, serving, speaking, stranger
from hypothesis import given
from hypothesis import strategies as st

from xdpkit.control import server as control
from xdpkit.control.server import ControlServer, RequestError, request
from xdpkit.errors import ConfigError, ControlError

# Abstract names are free for all in the tests' own namespace: unlikely ones.
IFACE = f"xt{os.getpid()}"


def error_of(raw: bytes) -> str:
    assert raw.endswith(b"\n")
    answer = json.loads(raw)
    assert answer["exit_code"] == 1
    return str(answer["error"])


def test_a_request_is_answered() -> None:
    with serving(IFACE):
        assert request(IFACE, "status") == {"interface": "here"}
        assert request(IFACE, "reload") == {"zones": {}}


def test_a_large_answer_is_whole() -> None:
    async def large() -> dict[str, Any]:
        return {"text": "é" * 1_000_000}

    with serving(IFACE, status=large):
        assert request(IFACE, "status") == {"text": "é" * 1_000_000}


def test_failures_of_a_handler_reach_the_client() -> None:
    async def broken_zone() -> dict[str, Any]:
        raise ConfigError("example.zone", "no SOA", 3)

    async def broken_disk() -> dict[str, Any]:
        raise OSError(5, "Input/output error", "example.zone")

    with serving(IFACE, reload=broken_zone, status=broken_disk):
        with pytest.raises(RequestError, match=r"example\.zone:3: no SOA") as caught:
            request(IFACE, "reload")
        assert caught.value.exit_code == 2
        with pytest.raises(RequestError, match=r"status: .*Input/output error") as caught:
            request(IFACE, "status")
        assert caught.value.exit_code == 1


def test_an_unknown_verb() -> None:
    with serving(IFACE), pytest.raises(RequestError, match="does not know this request"):
        request(IFACE, "explode")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\n",
        b"status\n",
        b"[]\n",
        b'"status"\n',
        b'{"verb": ["status"]}\n',
        b'{"verb": {}}\n',
        b'{"verb": null}\n',
        b'{"verb": "status"}\n{"verb": "status"}\n',
        b"\xff\xfe\x00\n",
        b"[" * 1000 + b"\n",
        b'{"verb": ' + b"9" * 900 + b"}\n",
        b"x" * 1024,
        b"x" * 100_000,
    ],
)
def test_garbage_gets_an_error(garbage: bytes) -> None:
    with serving(IFACE):
        with speaking(IFACE) as connection:
            connection.sendall(garbage)
            assert "does not know this request" in error_of(heard(connection))
        assert request(IFACE, "status") == {"interface": "here"}


@given(st.binary(max_size=1024))
def test_no_bytes_are_too_much_for_the_reader_of_requests(line: bytes) -> None:
    assert isinstance(control._verb(line), str)


def test_clients_that_leave_early() -> None:
    with serving(IFACE) as server:
        for said_before in (b"", b'{"verb"', b'{"verb": "status"}\n'):
            with speaking(IFACE) as connection:
                connection.sendall(said_before)
        assert request(IFACE, "status") == {"interface": "here"}
        wait_until_idle(server)


def test_silent_clients_are_bounded_in_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_READ_SECONDS", 0.5)
    with serving(IFACE) as server:
        with speaking(IFACE), speaking(IFACE) as slow:
            slow.sendall(b'{"verb":')
            assert request(IFACE, "status") == {"interface": "here"}
            assert heard(slow) == b""
        wait_until_idle(server)
        crowd = [speaking(IFACE) for _ in range(control._MOST_CONNECTIONS)]
        entered = [client.__enter__() for client in crowd]
        with speaking(IFACE) as late:
            assert "too many" in error_of(heard(late))
        assert [heard(connection) for connection in entered] == [b""] * len(crowd)
        for client in crowd:
            client.__exit__(None, None, None)
        assert request(IFACE, "status") == {"interface": "here"}


def test_a_client_that_never_reads_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_WRITE_SECONDS", 0.5)

    async def large() -> dict[str, Any]:
        return {"text": "x" * 4_000_000}

    with serving(IFACE, status=large) as server, speaking(IFACE) as lazy:
        lazy.sendall(b'{"verb": "status"}\n')
        assert request(IFACE, "reload") == {"zones": {}}
        wait_until_idle(server)
        assert len(heard(lazy)) < 4_000_000


def wait_until_idle(server: ControlServer) -> None:
    """Until no connection is counted any more."""
    deadline = time.monotonic() + 5
    while any(server._connections.values()):
        assert time.monotonic() < deadline, server._connections
        time.sleep(0.01)


def test_the_name_is_the_lock_between_instances() -> None:
    script = f"""
import time; from xdpkit.control.server import ControlServer
with ControlServer({IFACE!r}, {{}}):
    print("bound", flush=True); time.sleep(60)
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as other:
        try:
            assert said(other) == "bound"
            with pytest.raises(ControlError) as caught:
                ControlServer(IFACE, {}).bind()
        finally:
            other.kill()
    text = str(caught.value)
    assert text.startswith(f"another xdpkit serves {IFACE} (pid {other.pid}): stop it")
    with ControlServer(IFACE, {}):
        pass
    with ControlServer(IFACE, {}), pytest.raises(ControlError, match=f"pid {os.getpid()}"):
        ControlServer(IFACE, {}).bind()


def test_the_lock_outlasts_the_serving() -> None:
    with ControlServer(IFACE, {}) as server:

        async def briefly() -> None:
            with anyio.move_on_after(0.05):
                await server.serve()

        anyio.run(briefly)
        with pytest.raises(ControlError, match="another xdpkit serves"):
            ControlServer(IFACE, {}).bind()


def test_serve_needs_bind() -> None:
    with pytest.raises(ControlError, match="not bound"):
        anyio.run(ControlServer(IFACE, {}).serve)


@isolated
def test_a_squatter_is_named_to_who_wants_to_bind() -> None:
    script = "s = socket.socket(socket.AF_UNIX); s.bind('\\0xdpkit/eth1')\n"
    with stranger(script + "s.listen(); print('bound', flush=True); time.sleep(60)") as squatter:
        assert said(squatter) == "bound"
        with pytest.raises(ControlError, match=f"{squatter.pid}.* of user {NOBODY}: stop"):
            ControlServer("eth1", {}).bind()
    # Bound and never listening: there is nobody to ask who it is.
    with stranger(script + "print('bound', flush=True); time.sleep(60)") as squatter:
        assert said(squatter) == "bound"
        with pytest.raises(ControlError, match="another xdpkit serves eth1: stop it"):
            ControlServer("eth1", {}).bind()


@needs_root
def test_strangers_may_read_and_not_command() -> None:
    script = f"""
for verb in ("status", "reload", "reset"):
    s = socket.socket(socket.AF_UNIX); s.connect('\\0xdpkit/{IFACE}')
    s.sendall(json.dumps({{"verb": verb}}).encode() + b"\\n")
    print(s.makefile().readline().strip(), flush=True)
"""
    with serving(IFACE), stranger(script) as nobody:
        assert json.loads(said(nobody)) == {"reply": {"interface": "here"}}
        assert "reload is for root" in error_of(said(nobody).encode() + b"\n")
        assert "does not know" in error_of(said(nobody).encode() + b"\n")


@needs_root
def test_a_crowd_of_strangers_does_not_keep_root_out() -> None:
    script = f"""
crowd = []
for _ in range(50):
    s = socket.socket(socket.AF_UNIX); s.connect('\\0xdpkit/{IFACE}'); crowd.append(s)
print("there", flush=True); time.sleep(60)
"""
    with serving(IFACE) as server, stranger(script) as nobody:
        assert said(nobody) == "there"
        assert request(IFACE, "reload") == {"zones": {}}
        assert server._connections[False] <= control._MOST_CONNECTIONS
