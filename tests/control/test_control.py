"""The control socket's server: the lock, permissions, and malicious clients."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

import anyio
import pytest
from control_lab import (
    NOBODY,
    connected,
    isolated,
    needs_root,
    next_line,
    read_to_end,
    serving,
    stranger,
)
from hypothesis import given
from hypothesis import strategies as st

from xdpkit.control import server as control
from xdpkit.control.server import ControlServer, RequestError, request
from xdpkit.errors import ConfigError, ControlError

# The tests share the abstract names of their network namespace: unlikely ones.
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


def test_a_large_answer_is_complete() -> None:
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
        with connected(IFACE) as connection:
            connection.sendall(garbage)
            assert "does not know this request" in error_of(read_to_end(connection))
        assert request(IFACE, "status") == {"interface": "here"}


@given(st.binary(max_size=1024))
def test_any_bytes_are_parsed_without_an_exception(line: bytes) -> None:
    assert isinstance(control._verb(line), str)


def test_clients_that_disconnect_early() -> None:
    with serving(IFACE) as server:
        for request_part in (b"", b'{"verb"', b'{"verb": "status"}\n'):
            with connected(IFACE) as connection:
                connection.sendall(request_part)
        assert request(IFACE, "status") == {"interface": "here"}
        wait_until_idle(server)


def test_silent_clients_are_limited_in_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_READ_SECONDS", 0.5)
    with serving(IFACE) as server:
        with connected(IFACE), connected(IFACE) as slow:
            slow.sendall(b'{"verb":')
            assert request(IFACE, "status") == {"interface": "here"}
            assert read_to_end(slow) == b""
        wait_until_idle(server)
        crowd = [connected(IFACE) for _ in range(control._MOST_CONNECTIONS)]
        entered = [client.__enter__() for client in crowd]
        with connected(IFACE) as late:
            assert "too many" in error_of(read_to_end(late))
        assert [read_to_end(connection) for connection in entered] == [b""] * len(crowd)
        for client in crowd:
            client.__exit__(None, None, None)
        assert request(IFACE, "status") == {"interface": "here"}


def test_a_client_that_never_reads_delays_no_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_WRITE_SECONDS", 0.5)

    async def large() -> dict[str, Any]:
        return {"text": "x" * 4_000_000}

    with serving(IFACE, status=large) as server, connected(IFACE) as non_reader:
        non_reader.sendall(b'{"verb": "status"}\n')
        assert request(IFACE, "reload") == {"zones": {}}
        wait_until_idle(server)
        assert len(read_to_end(non_reader)) < 4_000_000


def wait_until_idle(server: ControlServer) -> None:
    """Waits until no connection is counted."""
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
            assert next_line(other) == "bound"
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
def test_a_squatter_is_named_when_bind_fails() -> None:
    script = "s = socket.socket(socket.AF_UNIX); s.bind('\\0xdpkit/eth1')\n"
    with stranger(script + "s.listen(); print('bound', flush=True); time.sleep(60)") as squatter:
        assert next_line(squatter) == "bound"
        with pytest.raises(ControlError, match=f"{squatter.pid}.* of user {NOBODY}: stop"):
            ControlServer("eth1", {}).bind()
    # Bound but not listening: its credentials cannot be read.
    with stranger(script + "print('bound', flush=True); time.sleep(60)") as squatter:
        assert next_line(squatter) == "bound"
        with pytest.raises(ControlError, match="another xdpkit serves eth1: stop it"):
            ControlServer("eth1", {}).bind()


@needs_root
def test_strangers_may_read_but_not_command() -> None:
    script = f"""
for verb in ("status", "reload", "reset"):
    s = socket.socket(socket.AF_UNIX); s.connect('\\0xdpkit/{IFACE}')
    s.sendall(json.dumps({{"verb": verb}}).encode() + b"\\n")
    print(s.makefile().readline().strip(), flush=True)
"""
    with serving(IFACE), stranger(script) as nobody:
        assert json.loads(next_line(nobody)) == {"reply": {"interface": "here"}}
        assert "reload is for root" in error_of(next_line(nobody).encode() + b"\n")
        assert "does not know" in error_of(next_line(nobody).encode() + b"\n")


@needs_root
def test_a_crowd_of_strangers_does_not_lock_out_root() -> None:
    script = f"""
crowd = []
for _ in range(50):
    s = socket.socket(socket.AF_UNIX); s.connect('\\0xdpkit/{IFACE}'); crowd.append(s)
print("there", flush=True); time.sleep(60)
"""
    ask = f"""
s = socket.socket(socket.AF_UNIX); s.connect('\\0xdpkit/{IFACE}')
s.sendall(b'{{"verb": "status"}}\\n'); print(s.makefile().readline().strip(), flush=True)
"""
    with serving(IFACE) as server, stranger(script) as nobody:
        assert next_line(nobody) == "there"
        with stranger(ask, NOBODY - 1) as other:
            assert json.loads(next_line(other)) == {"reply": {"interface": "here"}}
        assert request(IFACE, "reload") == {"zones": {}}
        assert server._connections[False] <= control._MOST_CONNECTIONS


def test_root_is_root_to_a_server_with_many_descriptors() -> None:
    """A descriptor above 1023, which select(2) does not take: a socket for each address."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    script = f"""
import json, socket
s = socket.socket(socket.AF_UNIX); s.connect('\\0xdpkit/{IFACE}')
s.sendall(b'{{"verb": "reload"}}\\n'); print(s.makefile().readline())
"""
    with contextlib.ExitStack() as many, serving(IFACE):
        for _ in range(1100):
            many.callback(os.close, os.open("/dev/null", os.O_RDONLY))
        done = subprocess.run(
            [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert json.loads(done.stdout) == {"reply": {"zones": {}}}
