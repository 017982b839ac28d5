"""How an instance shuts down, and that it leaves nothing behind."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from payloads import query
from scapy.layers.inet import UDP
from serving import Server, attached, eventually, ping, write_config
from wire import Wire, udp_payload

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns


def listening(lab: Lab) -> str:
    """The UDP sockets in the server's namespace."""
    return lab.server.run("ss", "-lunH").stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_clean_shutdown(lab: Lab, tmp_path: Path, number: signal.Signals) -> None:
    server = Server(lab.server, write_config(tmp_path))
    assert attached(lab.server) is not None
    server.signal(number)
    assert server.process.wait(20) == 0, server.log()
    assert attached(lab.server) is None
    assert listening(lab) == ""
    assert "server0 is the kernel's again" in server.log()
    ping(lab)


def test_kill_leaves_nothing_attached(lab: Lab, tmp_path: Path) -> None:
    server = Server(lab.server, write_config(tmp_path))
    assert attached(lab.server) is not None
    server.kill()
    eventually(lambda: attached(lab.server) is None, "the link to go with its process")
    assert "prog/xdp" not in lab.server.run("ip", "-d", "link", "show", "dev", "server0").stdout
    assert listening(lab) == ""
    ping(lab)


def test_a_new_instance_right_after_a_kill(lab: Lab, tmp_path: Path) -> None:
    for _ in range(2):
        server = Server(lab.server, write_config(tmp_path))
        wire = Wire(lab)
        try:
            request = wire.frame(4, "dns", query("www.example"))
            [reply] = wire.exchange(server, request).replies
            assert udp_payload(reply)[3] & 0x0F == 0
            assert UDP in request
        finally:
            wire.close()
            server.kill()
        eventually(lambda: attached(lab.server) is None, "the link to go with its process")
