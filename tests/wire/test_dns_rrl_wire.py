"""Response rate limiting on the ring and the slow path, and how real clients get through."""

from __future__ import annotations

import socket
import time
from collections import Counter
from pathlib import Path

import dns.flags
import dns.message
import pytest
from payloads import query
from serving import QUEUES, WAYS_IN, WWW, Server, reload, serving, write_config

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

CONFIG = """
[interface]
name = "server0"
queues = [2]
[dns]
zones = "zones"
"""

# A burst of five, and a rate so low that a test's duration hardly matters.
LIMIT = "[dns.rrl]\nrate = 1\ninstant = 5\n"


def flood(lab: Lab, way_in: str, family: int = 4, count: int = 100) -> Counter[str]:
    """Sends this many queries, each after the previous reply; counts: whole, TC, or none."""
    lab.client.send_on_queue(WAYS_IN[way_in], QUEUES)
    address = lab.server.ipv4 if family == 4 else lab.server.ipv6
    with lab.client.entered():
        sock = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    found: Counter[str] = Counter()
    with sock:
        sock.settimeout(20)
        sock.connect((address, 53))
        for _ in range(count):
            sock.send(query("www.example"))
            reply = dns.message.from_wire(sock.recv(4096))
            cut = reply.flags & dns.flags.TC
            assert bool(cut) != bool(reply.answer)
            found["cut" if cut else "whole"] += 1
    return found


def dig(lab: Lab, *words: str, tool: str = "dig") -> str:
    done = lab.client.run(tool, "+time=10", f"@{lab.server.ipv4}", "www.example", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def counts(server: Server) -> dict[str, int]:
    found: dict[str, int] = server.status()["dns"]["rrl"]
    return found


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("way_in", WAYS_IN)
def test_over_the_limit_is_truncated(lab: Lab, tmp_path: Path, way_in: str, family: int) -> None:
    with serving(lab, tmp_path, CONFIG + LIMIT) as server:
        begin = time.monotonic()
        found = flood(lab, way_in, family)
        most = 5 + time.monotonic() - begin + 1
        assert 5 <= found["whole"] <= most
        verdicts = server.verdicts()
        assert verdicts["dns_rrl_slip"] == found["cut"]
        assert verdicts["dns_noerror"] == found["whole"]
        assert counts(server) == {"limited": found["cut"], "slipped": found["cut"], "badcookie": 0}


@pytest.mark.parametrize("way_in", WAYS_IN)
def test_real_clients_get_through(lab: Lab, tmp_path: Path, way_in: str) -> None:
    with serving(lab, tmp_path, CONFIG + LIMIT) as server:
        flood(lab, way_in)
        cut = dig(lab, "+nocookie", "+ignore")
        assert WWW not in cut and " tc " in cut.replace(";", " ")
        retried = dig(lab, "+nocookie")
        assert WWW in retried and "retrying in TCP mode" in retried and "(TCP)" in retried
        assert WWW in dig(lab, tool="kdig")

        flood(lab, way_in)
        dug = dig(lab, "+cookie")
        assert WWW in dug and "BADCOOKIE, retrying" in dug and "(UDP)" in dug
        found = counts(server)
        assert found["badcookie"] >= 1
        assert found["limited"] == found["slipped"] + found["badcookie"]


def test_without_slip_there_is_silence(lab: Lab, tmp_path: Path) -> None:
    with serving(lab, tmp_path, CONFIG + LIMIT + "slip = 0\n") as server:
        lab.client.send_on_queue(WAYS_IN["ring"], QUEUES)
        with lab.client.entered():
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with sock:
            sock.connect((lab.server.ipv4, 53))
            for _ in range(50):
                sock.send(query("www.example"))
            while (found := server.verdicts())["dns_rrl_drop"] + found["dns_noerror"] < 50:
                pass
        assert found["dns_rrl_drop"] >= 40
        assert server.status()["queues"]["2"]["dropped"] == {"dns_rrl_drop": found["dns_rrl_drop"]}


@pytest.mark.parametrize("way_in", WAYS_IN)
def test_a_reload_brings_exempts_and_ends_it(lab: Lab, tmp_path: Path, way_in: str) -> None:
    with serving(lab, tmp_path, CONFIG) as server:
        assert flood(lab, way_in)["cut"] == 0
        write_config(tmp_path, CONFIG + LIMIT)
        assert reload(lab).returncode == 0
        assert flood(lab, way_in)["cut"] > 0
        write_config(tmp_path, CONFIG + LIMIT + 'exempt = ["192.0.2.2"]\n')
        assert reload(lab).returncode == 0
        assert flood(lab, way_in)["cut"] == 0
        assert flood(lab, way_in, family=6)["cut"] > 0
        write_config(tmp_path, CONFIG + LIMIT + 'exempt = ["192.0.2.2/24"]\n')
        done = reload(lab)
        assert done.returncode == 2 and f"{tmp_path}/xdpkit.toml:10:" in done.stderr
        assert flood(lab, way_in)["cut"] == 0
        write_config(tmp_path, CONFIG)
        assert reload(lab).returncode == 0
        assert flood(lab, way_in, family=6)["cut"] == 0
        assert server.process.poll() is None
