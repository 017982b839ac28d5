"""[interface] route_check: no answer where this host's routes lead nowhere, on either way in."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from serving import CONFIG, QUEUES, WAYS_IN, eventually, reload, serving, write_config

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

CHECKED = CONFIG.replace("queues", "route_check = true\nqueues")
SERVER = {4: "192.0.2.1", 6: "2001:db8::1"}
# Of the client: covered by the routes of the test, and inside an exception from them.
COVERED = {4: "203.0.113.9", 6: "2001:db8:1::9"}
SPARED = {4: "203.0.113.200", 6: "2001:db8:1:ff::9"}
ROUTES = {4: ("203.0.113.0/24", "203.0.113.128/25"), 6: ("2001:db8:1::/48", "2001:db8:1:ff::/64")}


def ip(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = lab.server.run("ip", *arguments)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(autouse=True, scope="module")
def clients(lab: Lab) -> None:
    """The client has these addresses, and the server a way to the spared ones."""
    for version in (4, 6):
        length = {4: 32, 6: 128}[version]
        for address in (COVERED[version], SPARED[version]):
            lab.client.run(
                *("ip", "addr", "add", f"{address}/{length}", "dev", "client0"),
                *(("nodad",) if version == 6 else ()),
            )
        via = {4: lab.client.ipv4, 6: lab.client.ipv6}[version]
        for prefix in ROUTES[version]:
            ip(lab, f"-{version}", "route", "add", prefix, "via", via, "metric", "2000")


def asked(lab: Lab, version: int, source: str, way_in: str, kind: str) -> bool:
    """Whether a request from this address is answered; UDP by python, as dig or ntpdate would."""
    lab.client.send_on_queue(WAYS_IN[way_in], QUEUES)
    port, payload = {
        "ntp": (123, b"\x23" + bytes(39) + b"12345678"),
        "dns": (53, bytes.fromhex("0001010000010000000000000377777707") + b"example\0\0\1\0\1"),
        "echo": (7, b"hello"),
    }[kind]
    script = (
        "import socket, sys\n"
        f"s = socket.socket(socket.AF_INET{'6' if version == 6 else ''}, socket.SOCK_DGRAM)\n"
        f"s.bind(({source!r}, 0)); s.settimeout(1)\n"
        f"s.sendto({payload!r}, ({SERVER[version]!r}, {port}))\n"
        "try:\n    s.recv(2048)\nexcept TimeoutError:\n    sys.exit(3)\n"
    )
    done = lab.client.run("python3", "-P", "-c", script)
    assert done.returncode in (0, 3), done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
def test_both_ways_in_obey_the_route(lab: Lab, tmp_path: Path, kind: str, version: int) -> None:
    prefix = ROUTES[version][0]
    with serving(lab, tmp_path, CHECKED) as server:
        for service in ("ntp", "dns", "echo"):
            for way_in in WAYS_IN:
                assert asked(lab, version, COVERED[version], way_in, service)
        ip(lab, f"-{version}", "route", "add", kind, prefix, "metric", "10")
        try:
            eventually(lambda: server.status()["route_check"]["routes"] == 1, "the route")
            expected = server.verdicts()["no_route"]
            for service in ("ntp", "dns", "echo"):
                for way_in in WAYS_IN:
                    assert not asked(lab, version, COVERED[version], way_in, service)
                    expected += 1
                    assert server.verdicts()["no_route"] == expected, (service, way_in)
                    assert asked(lab, version, SPARED[version], way_in, service)
            # A list that a reload brings does not undo it, nor does the reload of another one.
            write_config(tmp_path, CHECKED.replace("[ntp]", '[ntp]\ndeny = ["198.51.100.0/24"]'))
            assert reload(lab).returncode == 0
            assert not asked(lab, version, COVERED[version], "ring", "ntp")
            assert server.verdicts()["no_route"] == expected + 1
        finally:
            ip(lab, f"-{version}", "route", "del", kind, prefix, "metric", "10")
        eventually(lambda: server.status()["route_check"]["routes"] == 0, "no route")
        assert asked(lab, version, COVERED[version], "ring", "ntp")


def test_a_route_that_was_there_at_the_start(lab: Lab, tmp_path: Path) -> None:
    ip(lab, "route", "add", "blackhole", ROUTES[4][0])
    try:
        with serving(lab, tmp_path, CHECKED) as server:
            assert not asked(lab, 4, COVERED[4], "ring", "dns")
            assert server.verdicts()["no_route"] == 1
    finally:
        ip(lab, "route", "del", "blackhole", ROUTES[4][0])


def test_without_it_only_the_slow_path_obeys(lab: Lab, tmp_path: Path) -> None:
    """What README's limits say; the kernel's own refusal is another verdict."""
    ip(lab, "route", "add", "blackhole", ROUTES[4][0])
    try:
        with serving(lab, tmp_path) as server:
            assert asked(lab, 4, COVERED[4], "ring", "ntp")
            assert not asked(lab, 4, COVERED[4], "slow path", "ntp")
            assert server.verdicts()["not_sent"] == 1
            assert server.verdicts()["no_route"] == 0
            assert "route_check" not in server.status()
    finally:
        ip(lab, "route", "del", "blackhole", ROUTES[4][0])


def test_a_flood_of_changes(lab: Lab, tmp_path: Path) -> None:
    """Notifications that are lost do no harm: the routes are read again."""
    batch = tmp_path / "batch"
    prefixes = [f"10.{high}.{low}.0/24" for high in range(40) for low in range(250)]
    with serving(lab, tmp_path, CHECKED) as server:
        batch.write_text("".join(f"route add blackhole {prefix}\n" for prefix in prefixes))
        ip(lab, "-batch", str(batch))
        eventually(
            lambda: server.status()["route_check"]["routes"] == len(prefixes), "all", patience=60
        )
        batch.write_text("".join(f"route del blackhole {prefix}\n" for prefix in prefixes))
        ip(lab, "-batch", str(batch))
        eventually(lambda: server.status()["route_check"]["routes"] == 0, "none", patience=60)
        assert "route" not in server.log().split("stop with SIGTERM")[1]
