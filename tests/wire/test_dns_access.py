"""Who may ask for names: [dns] allow and deny, on every way in, over reloads."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from serving import (
    CONFIG,
    PATIENCE,
    QUEUES,
    WAYS_IN,
    WWW,
    XDPKIT,
    Server,
    eventually,
    reload,
    serving,
    write_config,
)

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

ZONES = 'zones = "zones"\n'
ADDRESSES = {4: "192.0.2.1", 6: "2001:db8::1"}


def listed(*lines: str) -> str:
    """The configuration with these lines in [dns]."""
    return CONFIG.replace(ZONES, ZONES + "".join(f"{line}\n" for line in lines))


def ask(lab: Lab, family: int, *options: str, time: int = 10) -> list[str]:
    """The answer to one query, empty if there is none in time."""
    command = ("dig", "+short", "+tries=1", f"+time={time}", *options)
    done = lab.client.run(*command, f"@{ADDRESSES[family]}", "www.example")
    return done.stdout.split() if done.returncode == 0 else []


def denied(lab: Lab, server: Server, family: int) -> bool:
    """Whether a query is counted as denied, and gets no answer."""
    before = server.verdicts()["dns_denied"]
    assert ask(lab, family, time=1) == []
    return server.verdicts()["dns_denied"] == before + 1


def is_reset(lab: Lab, family: int) -> bool:
    """Whether a connection is refused at once."""
    with lab.client.entered():
        try:
            with socket.create_connection((ADDRESSES[family], 53), PATIENCE) as tcp:
                tcp.recv(1)
        except ConnectionResetError:
            return True
    return False


@pytest.mark.parametrize("way_in", WAYS_IN)
def test_by_the_longest_prefix_and_over_a_reload(lab: Lab, tmp_path: Path, way_in: str) -> None:
    lab.client.send_on_queue(WAYS_IN[way_in], QUEUES)
    config = listed('allow = ["192.0.2.0/24", "2001:db8::/32"]', 'deny = ["192.0.2.2"]')
    with serving(lab, tmp_path, config) as server:
        assert denied(lab, server, 4)
        assert ask(lab, 6) == ask(lab, 6, "+tcp") == [WWW]
        assert is_reset(lab, 4)
        assert server.status()["slow_path"]["tcp"]["ended"]["denied"] == 1

        write_config(tmp_path, listed('deny = ["2001:db8::2/128"]'))
        assert reload(lab).returncode == 0
        assert ask(lab, 4) == ask(lab, 4, "+tcp") == [WWW]
        assert denied(lab, server, 6) and is_reset(lab, 6)

        write_config(tmp_path, listed('deny = ["2001:db8::2/64"]'))
        done = reload(lab)
        assert done.returncode == 2 and "bits set beyond its prefix length" in done.stderr
        assert denied(lab, server, 6)
        write_config(tmp_path, CONFIG)
        assert reload(lab).returncode == 0
        assert ask(lab, 6) == [WWW]
        # What NTP may be asked is a list of its own.
        assert server.verdicts()["ntp_denied"] == 0


def test_an_open_connection_is_denied_with_its_next_query(lab: Lab, tmp_path: Path) -> None:
    query = bytes.fromhex("0001010000010000000000000377777707") + b"example\0\0\1\0\1"
    framed = len(query).to_bytes(2, "big") + query
    with serving(lab, tmp_path) as server:
        with lab.client.entered():
            tcp = socket.create_connection((ADDRESSES[4], 53), PATIENCE)
        with tcp:
            tcp.sendall(framed)
            assert len(tcp.recv(4096)) > len(framed)
            write_config(tmp_path, listed('deny = ["192.0.2.0/24"]'))
            assert reload(lab).returncode == 0
            tcp.sendall(framed)
            assert tcp.recv(4096) == b""
        eventually(lambda: server.verdicts()["dns_denied"] == 1, "the verdict")


def test_query_says_so(lab: Lab, tmp_path: Path) -> None:
    path = write_config(tmp_path, listed('deny = ["198.51.100.0/24"]'))
    for client, status in (("198.51.100.1", 1), ("192.0.2.1", 0)):
        done = lab.server.run(
            XDPKIT, "query", "www.example", "A", "--client", client, "-c", str(path)
        )
        assert done.returncode == status, done.stderr
    assert (
        "gets no answer: dns_denied"
        in lab.server.run(
            XDPKIT, "query", "www.example", "A", "--client", "198.51.100.1", "-c", str(path)
        ).stderr
    )
