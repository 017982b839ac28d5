"""An interface whose driver has no native XDP, a bridge: served in generic mode, and logged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from payloads import ANSWERED
from serving import CONFIG, PATIENCE, XDPKIT, Server, attached, write_config
from wire import Wire

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

ON_BRIDGE = CONFIG.replace("server0", "bridge0").replace("[2]", "[0]")


@pytest.fixture(scope="module")
def bridge(lab: Lab) -> str:
    """The server's addresses on a bridge with server0 as its port."""
    script = f"""
        ip link add bridge0 type bridge
        ip addr flush dev server0
        ip link set server0 master bridge0
        ip addr add {lab.server.ipv4}/24 dev bridge0
        ip -6 addr add {lab.server.ipv6}/64 dev bridge0 nodad
        ip link set bridge0 address $(cat /sys/class/net/server0/address) up
    """
    done = lab.server.run("sh", "-ec", script)
    assert done.returncode == 0, done.stderr
    return "bridge0"


@pytest.mark.parametrize("mode", ["copy", "zerocopy"])
def test_native_modes_are_refused(lab: Lab, bridge: str, tmp_path: Path, mode: str) -> None:
    path = write_config(tmp_path, ON_BRIDGE.replace("queues", f'mode = "{mode}"\nqueues'))
    done = lab.server.run(XDPKIT, "run", "-c", str(path), timeout=PATIENCE)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert "the driver of bridge0 has no native XDP" in line
    assert 'mode = "auto" or "generic"' in line
    assert attached(lab.server, bridge) is None


@pytest.fixture(scope="module")
def generic(lab: Lab, bridge: str, directory: Path) -> Iterator[Server]:
    server = Server(lab.server, write_config(directory, ON_BRIDGE), bridge)
    yield server
    assert server.stop() == 0
    assert attached(lab.server, bridge) is None


def test_fallback_is_logged(generic: Server) -> None:
    status = generic.status()
    assert (status["mode"], status["zerocopy"]) == ("generic", False)
    assert "the driver of bridge0 has no native XDP" in generic.log()


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("verdict", ["echo_answered", "ntp_answered", "dns_noerror"])
def test_it_serves(lab: Lab, generic: Server, verdict: str, family: int) -> None:
    wire = Wire(lab)
    try:
        service, payload = ANSWERED[verdict]
        request = wire.frame(family, service, payload)
        outcome = wire.exchange(generic, request, (verdict,), replies=1)
    finally:
        wire.close()
    assert len(outcome.replies) == 1
    assert outcome.verdicts == {"redirected": 1, verdict: 1}
    assert generic.status()["queues"]["0"]["tx"] >= 1
