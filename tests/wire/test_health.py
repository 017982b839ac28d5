"""Healthy, degraded or down: status, its exit status, /health and the metrics say alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from intruder import frozen, make_call, needs_x86
from payloads import ntp
from peers import chronyd_server
from programs import detach_link, foreign_program
from serving import (
    CONFIG,
    XDPKIT,
    ZONE,
    Server,
    eventually,
    health,
    reload,
    serving,
    write_config,
)
from where_counts import scraped, send_all, stopped
from wire import Wire

from xdpkit.lab.namespaces import Lab
from xdpkit.runtime.health import KINDS

pytestmark = pytest.mark.netns

WATCHED = CONFIG + "[metrics]\n"
EXITS = {"healthy": 0, "degraded": 3, "down": 4}


def says(lab: Lab, server: Server, state: str, kinds: set[str]) -> bool:
    """Whether all say that it is in this state, for reasons of these kinds; or fails.

    A state may end between two of the questions: False, if it is not (yet) there for the first.
    """
    told = server.status()["health"]
    if told["state"] != state or {reason["kind"] for reason in told["reasons"]} != kinds:
        return False
    shown = lab.server.run(XDPKIT, "status")
    assert shown.returncode == lab.server.run(XDPKIT, "status", "--json").returncode
    assert shown.returncode == EXITS[state], shown.stdout
    first, *lines = shown.stdout.splitlines()
    assert first == f"server0: {state}"
    assert all(line.startswith("  ") for line in lines[: len(told["reasons"])])
    code, text = health(lab)
    assert code == (200 if state == "healthy" else 503)
    assert text.splitlines()[0] == state and len(text.splitlines()) == 1 + len(told["reasons"])
    samples = scraped(lab)
    assert {each: samples.of("health", state=each) for each in EXITS} == {
        each: each == state for each in EXITS
    }
    assert {kind for kind in KINDS if samples.of("health_reasons", reason=kind)} == kinds
    return True


def wait_for(lab: Lab, server: Server, state: str, *kinds: str) -> str:
    """Waits until all say so; returns the reasons' lines."""
    eventually(lambda: says(lab, server, state, set(kinds)), f"{state} {kinds}")
    return "\n".join(reason["text"] for reason in server.status()["health"]["reasons"])


@pytest.fixture
def running(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    with serving(lab, tmp_path, WATCHED) as server:
        wait_for(lab, server, "healthy")
        yield server


@needs_x86
def test_threads(lab: Lab, running: Server) -> None:
    worker = running.status()["queues"]["2"]["thread"]
    with frozen(worker):
        assert "queue 2 is stalled" in wait_for(lab, running, "degraded", "worker_stalled")
    wait_for(lab, running, "healthy")
    with frozen(running.status()["slow_path"]["udp"]["thread"]):
        wait_for(lab, running, "down", "listener_stalled", "not_answered")
    wait_for(lab, running, "healthy")
    make_call(worker, sleeping=True)
    assert "queue 2 is dead" in wait_for(lab, running, "degraded", "worker_dead")


def test_a_program_of_others(lab: Lab, running: Server) -> None:
    with foreign_program(lab) as foreign:
        detach_link(lab)
        while not foreign.attach("xdpdrv"):
            detach_link(lab)
        wait_for(lab, running, "degraded", "program_detached")
    wait_for(lab, running, "healthy")


def test_zones_and_reloads(lab: Lab, running: Server, tmp_path: Path) -> None:
    zone = tmp_path / "zones" / "example.zone"
    zone.write_text("$ORIGIN example.\nwww A 1.2.3.4.5\n")
    assert "zone example: stale since" in wait_for(lab, running, "degraded", "zone_stale")
    (tmp_path / "zones" / "other.zone").write_text("@ A bad")
    wait_for(lab, running, "degraded", "zone_stale", "zone_failed")
    zone.write_text(ZONE)
    (tmp_path / "zones" / "other.zone").unlink()
    wait_for(lab, running, "healthy")
    assert running.status()["reload"] is None

    write_config(tmp_path, WATCHED.replace("[ntp]", "[ntp]\nport = 124"))
    assert reload(lab).returncode != 0
    told = wait_for(lab, running, "degraded", "reload_failed")
    last = running.status()["reload"]
    assert last["outcome"] == "failed" and "needs a restart: ntp.port" in last["errors"][0]
    assert f"the reload at {last['at']} failed" in told and "ntp.port" in told
    shown = lab.server.run(XDPKIT, "status").stdout
    assert f"last reload: failed at {last['at']}" in shown

    write_config(
        tmp_path,
        WATCHED.replace("[dns]", '[dns]\nidentity = "x"\n').replace(
            'identity = "x"\n', "max_udp_ipv4 = 1000\n"
        ),
    )
    assert reload(lab).returncode == 0
    wait_for(lab, running, "healthy")
    last = running.status()["reload"]
    assert (last["outcome"], last["changed"]) == ("reloaded", ["dns.max_udp_ipv4"])


def test_losses_above_the_bound(lab: Lab, tmp_path: Path) -> None:
    """Of a slow path that was stopped; a higher bound makes it healthy again."""
    with serving(lab, tmp_path, WATCHED) as server:
        wait_for(lab, server, "healthy")
        wire = Wire(lab)
        try:
            wire.use_queue(1)
            with stopped(server):
                send_all(wire, [bytes(wire.frame(4, "ntp", ntp()))] * 14000)
        finally:
            wire.close()
        told = wait_for(lab, server, "degraded", "losses")
        assert "slow path UDP lost" in told and "UDP 192.0.2.1:123" in told
        assert "[interface] queues" in told
        bound = "max_loss_ppm = 1000000\nqueues"
        write_config(tmp_path, WATCHED.replace("queues", bound))
        assert reload(lab).returncode == 0
        wait_for(lab, server, "healthy")


def test_a_link_without_carrier(lab: Lab, running: Server) -> None:
    assert lab.client.run("ip", "link", "set", "client0", "down").returncode == 0
    try:
        assert "no carrier" in wait_for(lab, running, "down", "link_down")
    finally:
        lab.client.run("ip", "link", "set", "client0", "up")
        lab.client.run("ip", "address", "add", f"{lab.client.ipv6}/64", "dev", "client0", "nodad")
    wait_for(lab, running, "healthy")


def test_a_time_source_that_falls_silent(lab: Lab, tmp_path: Path) -> None:
    """Holdover first, and then no time at all."""
    mirrored = '[ntp]\nsource = "127.0.0.1:11123"\nholdover = 12'
    listen = ("port 11123", "bindaddress 127.0.0.1", "allow 127.0.0.1", "local stratum 5")
    with (
        chronyd_server(lab.server, made(tmp_path / "chronyd"), *listen) as chronyd,
        serving(lab, tmp_path, WATCHED.replace("[ntp]", mirrored)) as server,
    ):
        wait_for(lab, server, "healthy")
        chronyd.terminate()
        told = wait_for(lab, server, "degraded", "holdover")
        assert "127.0.0.1:11123 gave no time for" in told
        assert "nothing listens there" in wait_for(lab, server, "degraded", "not_synchronized")


def made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def test_a_port_of_another_program(lab: Lab, tmp_path: Path) -> None:
    holder = lab.server.popen(
        *(
            "python3",
            "-c",
            "import socket,time\ns=socket.socket(2,1)\ns.bind(('192.0.2.1',53))\n"
            "s.listen()\nprint('there',flush=True)\ntime.sleep(999)",
        ),
        stdout=-1,
    )
    assert holder.stdout is not None and holder.stdout.readline() == "there\n"
    with serving(lab, tmp_path, WATCHED) as server:
        told = wait_for(lab, server, "degraded", "port_not_served")
        assert "TCP 192.0.2.1:53: dns is not served" in told
        [tcp] = [each for each in server.status()["served"] if each.get("protocol") == "tcp"]
        assert "192.0.2.1" not in tcp["addresses"] and "2001:db8::1" in tcp["addresses"]
        holder.kill()
        holder.communicate()
        wait_for(lab, server, "healthy")
        [tcp] = [each for each in server.status()["served"] if each.get("protocol") == "tcp"]
        assert "192.0.2.1" in tcp["addresses"]


def test_what_runs(lab: Lab, running: Server, tmp_path: Path) -> None:
    """Version, configuration, what is served where."""
    shown = lab.server.run(XDPKIT, "status").stdout
    version = lab.server.run(XDPKIT, "--version").stdout.split()[-1]
    assert f"version {version}, configuration {tmp_path / 'xdpkit.toml'}" in shown
    assert "ntp on UDP 123, dns on UDP 53, echo on UDP 7, dns on TCP 53 at 192.0.2.1, " in shown
    assert "metrics at http://127.0.0.1:9153/metrics" in shown
    assert "last reload: none since the start" in shown
