"""A port that another server has: never announced as served, left to it, and had when it goes."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from metrics_samples import Samples
from peers import chronyd_server, peer
from rights import NOBODY, open_directory
from serving import (
    CONFIG,
    PATIENCE,
    QUEUES,
    WWW,
    XDPKIT,
    Server,
    eventually,
    health,
    reload,
    serving,
    starting,
    write_config,
)

from xdpkit.lab.namespaces import SERVER_IPV4, SERVER_IPV6, Lab
from xdpkit.runtime.privileges import NEEDED

pytestmark = pytest.mark.netns

WATCHED = CONFIG + "[metrics]\n"
NEEDS = ",".join(f"+{each.name.lower()}" for each in NEEDED)
AS_NOBODY = ("setpriv", *NOBODY, f"--inh-caps={NEEDS}", f"--ambient-caps={NEEDS}")
OTHERS_ANSWER = "192.0.2.99"
ADDRESSES = {4: SERVER_IPV4, 6: SERVER_IPV6}
WILDCARDS = {4: "0.0.0.0", 6: "::"}


@contextmanager
def nsd(lab: Lab, directory: Path, *addresses: str) -> Iterator[None]:
    """NLnet Labs' server with another answer for our name, on UDP and TCP, until the block ends."""
    directory.mkdir(exist_ok=True)
    zone = directory / "example.zone"
    zone.write_text(
        "$ORIGIN example.\n$TTL 60\n@ SOA ns hostmaster 1 60 60 60 60\n@ NS ns\n"
        f"ns A {OTHERS_ANSWER}\nwww A {OTHERS_ANSWER}\n"
    )
    listening = "".join(f"    ip-address: {address}\n" for address in addresses)
    (directory / "nsd.conf").write_text(
        f'server:\n{listening}    username: ""\n    chroot: ""\n    database: ""\n'
        f'    pidfile: "{directory}/pid"\n'
        f'    xfrdfile: "{directory}/xfrd"\n    zonelistfile: "{directory}/zones"\n'
        f'    zonesdir: "{directory}"\n    server-count: 1\n'
        "remote-control:\n    control-enable: no\n"
        f'zone:\n    name: example\n    zonefile: "{zone}"\n'
    )
    with (directory / "nsd.log").open("w") as log:
        process = lab.server.popen(
            peer("nsd", "sbin/nsd"), "-d", "-c", str(directory / "nsd.conf"), stdout=log, stderr=log
        )
    try:
        ask = ("dig", "+short", "+tries=1", "+time=1", f"@{addresses[0]}", "www.example")
        eventually(lambda: OTHERS_ANSWER in lab.server.run(*ask).stdout, "nsd's answer")
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def on_every_queue(lab: Lab, address: str, *options: str) -> set[str]:
    """The addresses of our name, asked for on each of the server's queues."""
    found = set()
    for queue in range(QUEUES):
        lab.client.send_on_queue(queue, QUEUES)
        dug = lab.client.run(
            *("dig", "+short", "+tries=1", "+time=10", *options, f"@{address}", "www.example")
        )
        assert dug.returncode == 0, dug.stdout
        found |= set(dug.stdout.split())
    return found


def missing(server: Server) -> set[tuple[str, str, str]]:
    """Protocol, service and address of what is not served."""
    return {
        (each["protocol"], each["service"], each["address"])
        for each in server.status()["not_served"]
    }


def scraped(lab: Lab, protocol: str, service: str) -> float:
    """The metric of the places where a service is not served."""
    with (
        lab.server.entered(),
        urlopen("http://127.0.0.1:9153/metrics", timeout=PATIENCE) as reply,
    ):
        samples = Samples(reply.read().decode(), reply.headers["Content-Type"])
    return samples.of("ports_not_served", protocol=protocol, service=service)


@pytest.mark.parametrize("version", [4, 6])
def test_another_dns_server_at_the_start(lab: Lab, tmp_path: Path, version: int) -> None:
    """It gets its queries on all queues; NTP and the other family are ours; all when it goes."""
    taken, free = ADDRESSES[version], ADDRESSES[10 - version]
    with ExitStack() as stack:
        with nsd(lab, tmp_path / "nsd", taken):
            server = stack.enter_context(serving(lab, tmp_path, WATCHED))
            assert on_every_queue(lab, taken) == {OTHERS_ANSWER}
            assert on_every_queue(lab, taken, "+tcp") == {OTHERS_ANSWER}
            assert on_every_queue(lab, free) == on_every_queue(lab, free, "+tcp") == {WWW}
            assert missing(server) == {("udp", "dns", taken), ("tcp", "dns", taken)}
            status, text = health(lab)
            assert status == 503 and text.count("dns is not served: in use by nsd") == 2
            assert scraped(lab, "udp", "dns") == scraped(lab, "tcp", "dns") == 1
            assert scraped(lab, "udp", "ntp") == 0
            shown = lab.server.run(XDPKIT, "status", "server0").stdout
            assert "not served" in shown and "in use by nsd" in shown
            time.sleep(3)
            said = [line for line in server.log().splitlines() if "in use by nsd" in line]
            assert len(said) == 2, said
            assert "dns on UDP 53 (not at 1 of 3 addresses, see above)" in server.log()
        eventually(lambda: not missing(server), "its ports")
        assert on_every_queue(lab, taken) == on_every_queue(lab, taken, "+tcp") == {WWW}
        assert health(lab) == (200, "healthy\n")
        assert scraped(lab, "udp", "dns") == 0
        assert server.log().count("free again, dns is served there") == 2


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_a_wildcard(lab: Lab, tmp_path: Path, version: int, protocol: str) -> None:
    """Each protocol is a port of its own; "::" is both families. Nothing keeps NTP away."""
    kind = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}[protocol]
    with lab.server.entered():
        holder = socket.socket({4: socket.AF_INET, 6: socket.AF_INET6}[version], kind)
    with holder:
        holder.bind((WILDCARDS[version], 53))
        if protocol == "tcp":
            holder.listen()
        with serving(lab, tmp_path) as server:
            lost = [4] if version == 4 else [4, 6]
            assert {(p, s) for p, s, _ in missing(server)} == {(protocol, "dns")}
            addresses = {address for _, _, address in missing(server)}
            assert {ADDRESSES[each] for each in lost} <= addresses
            assert (SERVER_IPV6 in addresses) == (version == 6)
            other = "+notcp" if protocol == "tcp" else "+tcp"
            assert on_every_queue(lab, SERVER_IPV4, other) == {WWW}
            holder.close()
            eventually(lambda: not missing(server), "its ports")
            option = "+tcp" if protocol == "tcp" else "+notcp"
            assert on_every_queue(lab, SERVER_IPV4, option) == {WWW}


def test_an_address_that_comes(lab: Lab, tmp_path: Path) -> None:
    """By a reload, and at run time: the reload succeeds, and the address is left to its server."""
    more = "192.0.2.77"
    listed = WATCHED.replace("queues", f'addresses = ["{SERVER_IPV4}"]\nqueues')
    with nsd(lab, tmp_path / "nsd", SERVER_IPV6), ExitStack() as stack:
        server = stack.enter_context(serving(lab, tmp_path, listed))
        assert missing(server) == set()
        assert on_every_queue(lab, SERVER_IPV6) == {OTHERS_ANSWER}
        both = f'"{SERVER_IPV4}", "{SERVER_IPV6}"'
        server.path.write_text(listed.replace(f'"{SERVER_IPV4}"', both))
        assert reload(lab).returncode == 0
        eventually(lambda: len(missing(server)) == 2, "what is not served")
        assert on_every_queue(lab, SERVER_IPV6) == {OTHERS_ANSWER}
        assert on_every_queue(lab, SERVER_IPV4) == {WWW}
        server.path.write_text(listed)
        assert reload(lab).returncode == 0
        eventually(lambda: not missing(server), "nothing missing")
        assert server.log().count("free again") == 0
        assert on_every_queue(lab, SERVER_IPV6) == {OTHERS_ANSWER}
        server.path.write_text(WATCHED)
        assert reload(lab).returncode == 0
        assert lab.server.run("ip", "addr", "add", f"{more}/32", "dev", "server0").returncode == 0
        try:
            eventually(lambda: on_every_queue(lab, more) == {WWW}, "the new address")
            assert SERVER_IPV6 in {address for _, _, address in missing(server)}
        finally:
            lab.server.run("ip", "addr", "del", f"{more}/32", "dev", "server0")


def test_a_takeover(lab: Lab, tmp_path: Path) -> None:
    """A successor leaves the port too, and gets it when its holder goes."""
    with ExitStack() as stack:
        with nsd(lab, tmp_path / "nsd", SERVER_IPV4):
            old = stack.enter_context(serving(lab, tmp_path, WATCHED))
            new = Server(lab.server, old.path, more=("--takeover",))
            stack.callback(new.kill)
            assert old.process.wait(PATIENCE) == 0, old.log()
            eventually(lambda: len(missing(new)) == 2, "what is not served")
            assert on_every_queue(lab, SERVER_IPV4) == {OTHERS_ANSWER}
            assert on_every_queue(lab, SERVER_IPV6) == {WWW}
        eventually(lambda: not missing(new), "its ports")
        assert on_every_queue(lab, SERVER_IPV4) == {WWW}
        assert new.stop() == 0, new.log()


def test_as_another_user(lab: Lab) -> None:
    """It cannot see whose the port is, but the user, and gets it back all the same."""
    with ExitStack() as stack:
        with lab.server.entered():
            holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with holder:
            holder.bind((SERVER_IPV4, 53))
            directory = stack.enter_context(open_directory(lab.server))
            path = write_config(directory)
            server = stack.enter_context(starting(lab.server, path, AS_NOBODY))
            server.wait_for_log("stop with SIGTERM")
            [line] = [line for line in server.log().splitlines() if "in use by" in line]
            assert f"UDP {SERVER_IPV4}:53: in use by another program (user ID 0)" in line
        server.wait_for_log("free again, dns is served there")
        assert on_every_queue(lab, SERVER_IPV4) == {WWW}


def test_without_a_slow_path(lab: Lab, tmp_path: Path) -> None:
    """The chosen queues are ours, the others the other server's: that is what was asked for."""
    config = WATCHED.replace("queues", "slow_path = false\nqueues")
    with nsd(lab, tmp_path / "nsd", SERVER_IPV4), serving(lab, tmp_path, config):
        assert on_every_queue(lab, SERVER_IPV4) == {WWW, OTHERS_ANSWER}
        assert health(lab) == (200, "healthy\n")


def test_another_ntp_server_that_comes_later(lab: Lab, tmp_path: Path) -> None:
    """Port 123 can be shared, so it may come at any time: the slow path yields and says so."""
    with serving(lab, tmp_path, WATCHED) as server:
        assert health(lab) == (200, "healthy\n")
        with chronyd_server(lab.server, tmp_path, "local stratum 8", f"bindaddress {SERVER_IPV4}"):
            eventually(lambda: health(lab)[0] == 503, "the problem")
            assert "ntp: the slow path leaves its port to another program" in health(lab)[1]
            shown = lab.server.run(XDPKIT, "status", "server0").stdout
            assert "left to another program" in shown
        eventually(lambda: health(lab) == (200, "healthy\n"), "the port")
        assert server.status()["slow_path"]["udp"]["left_to_others"] == []
