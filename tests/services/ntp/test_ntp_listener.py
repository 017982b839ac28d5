"""The mirrored daemon is believed by whose socket it is, not by its port."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import anyio
import pytest
from control_lab import NOBODY, needs_root
from time_server import STRANGER, TimeServer

from xdpkit.config.ntp import Loopback
from xdpkit.nic.os import udp_receiver
from xdpkit.nic.os.udp_receiver import receiver_users
from xdpkit.services.ntp.upstream import Upstream

pytestmark = needs_root


@contextmanager
def stranger(host: str = "127.0.0.1", port: int = 0, how: str = "alone") -> Iterator[int]:
    """A time server of another user; gives its port."""
    command = ["/usr/bin/python3", "-I", "-c", STRANGER, host, str(port), how]
    process = subprocess.Popen(
        command, user=NOBODY, group=NOBODY, cwd="/", text=True, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def upstream_of(host: str, port: int, *users: str) -> Upstream:
    return Upstream(Loopback(ip_address(host), port), 600, users)


def poll(upstream: Upstream, times: int = 3) -> None:
    async def run() -> None:
        for _ in range(times):
            await upstream.poll()

    try:
        anyio.run(run)
    finally:
        upstream.close()


@pytest.fixture(params=["sock_diag", "/proc"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the kernel's answer, and where it has no such interface."""
    if request.param == "/proc":
        monkeypatch.setattr(udp_receiver, "receiver_user", lambda *_: None)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_another_users_server_is_not_believed(host: str) -> None:
    with stranger(host) as port:
        refused = upstream_of(host, port, "root", "no-such-user")
        poll(refused)
        assert (refused.polls, refused.answers, refused.ignored) == (3, 0, {"stranger": 3})
        assert f"belongs to user {NOBODY}, who is not believed" in refused.problem()
        assert "source_users" in refused.problem()
        for user in ("nobody", str(NOBODY)):
            believed = upstream_of(host, port, user)
            poll(believed)
            assert believed.answers > 0 and not believed.ignored.get("stranger")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_roots_server_is_believed(host: str) -> None:
    with TimeServer(host=host) as daemon:
        upstream = Upstream(daemon.where, 600)
        poll(upstream)
        assert upstream.answers > 0 and not upstream.ignored.get("stranger")


def test_a_stranger_on_every_address() -> None:
    """A wildcard socket, also one of IPv6, receives what is for no other one."""
    for host in ("0.0.0.0", "::"):
        with stranger(host) as port:
            upstream = upstream_of("127.0.0.1", port)
            poll(upstream)
            assert upstream.ignored == {"stranger": 3}


def test_the_port_changes_hands() -> None:
    """What the daemon said last still holds; what the stranger says never counts."""
    with stranger() as port:
        pass
    upstream = upstream_of("127.0.0.1", port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody_answers:
        nobody_answers.bind(("127.0.0.1", port))
        assert receiver_users(("127.0.0.1", 9), ("127.0.0.1", port)) == {0}
    poll(upstream, 1)
    assert upstream.ignored == {"refused": 1}
    with stranger(port=port):
        poll(upstream, 2)
    assert upstream.ignored == {"refused": 1, "stranger": 2} and upstream.answers == 0
    assert upstream.current(0) is None


def test_a_stranger_that_takes_precedence() -> None:
    """Beside a daemon on every address whose socket can be shared: the specific one receives."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        daemon.bind(("0.0.0.0", 0))
        port = daemon.getsockname()[1]
        assert receiver_users(("127.0.0.1", 9), ("127.0.0.1", port)) == {0}
        with stranger(port=port, how="reuse"):
            upstream = upstream_of("127.0.0.1", port)
            poll(upstream)
            assert upstream.ignored == {"stranger": 3}


def test_one_that_comes_between_request_and_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again once there is an answer: whoever gave it must be there still."""
    answers: list[set[int]] = [{0}, {NOBODY}, {0}, set(), {0}, {0}]
    with TimeServer() as daemon:
        monkeypatch.setattr(
            "xdpkit.services.ntp.upstream.receiver_users", lambda *_: answers.pop(0)
        )
        upstream = Upstream(daemon.where, 600)
        poll(upstream, 3)
        assert upstream.ignored.get("stranger") == 2 and upstream.answers == 1
