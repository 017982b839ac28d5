"""``xdpkit doctor`` names the host's policy that the chosen queues bypass, and they do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from required import missing
from serving import CONFIG, QUEUES, WAYS_IN, WWW, XDPKIT, serving, write_config

from xdpkit.doctor.probe_policy import NFT
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

RULES = """
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    udp dport { 53, 123 } drop
    udp dport 50-60 counter
    th dport 123 drop
    udp dport 5353 drop
    udp dport != 7 drop
    tcp dport 53 accept
    udp dport 1024-65535 accept
  }
  chain output {
    type filter hook output priority 0; policy drop;
    accept
  }
}
"""
BY_NFT = {
    "udp dport { 53, 123 }": True,
    "udp dport 50-60": True,
    "th dport 123": True,
    "udp dport 5353": False,
    "udp dport != 7": True,
    "tcp dport 53": False,
    "udp dport 1024-65535": False,
}


@pytest.fixture
def filtered(lab: Lab, tmp_path: Path) -> Iterator[None]:
    """The server's namespace has these rules."""
    if not NFT.exists():
        missing("no nft: vagrant/provision.sh test installs it")
    (tmp_path / "rules").write_text(RULES)
    done = lab.server.run(str(NFT), "-f", str(tmp_path / "rules"))
    assert done.returncode == 0, done.stderr
    yield
    lab.server.run(str(NFT), "flush", "ruleset")


def findings(lab: Lab, path: Path) -> dict[str, Any]:
    done = lab.server.run(XDPKIT, "doctor", "--json", "-c", str(path))
    [report] = json.loads(done.stdout)["interfaces"]
    return {each["id"]: each for each in report["findings"]}


def test_rules_are_named_and_bypassed(lab: Lab, tmp_path: Path, filtered: None) -> None:
    path = write_config(tmp_path)
    what = findings(lab, path)["filter-bypassed"]["what"]
    listed = lab.server.run(str(NFT), "-a", "list", "chain", "inet", "filter", "input").stdout
    expected = []
    for rule, ours in BY_NFT.items():
        [line] = [line for line in listed.splitlines() if line.strip().startswith(rule)]
        expected += [line.rpartition(" ")[2]] if ours else []
    assert f"inet filter input handle {','.join(expected)}," in what, (what, listed)
    assert "inet filter input policy drop" in what and "output" not in what
    with serving(lab, tmp_path):
        for name, queue in WAYS_IN.items():
            lab.client.send_on_queue(queue, QUEUES)
            ask = ("dig", "+short", "+tries=1", "+time=2", "@192.0.2.1", "www.example")
            dug = lab.client.run(*ask)
            assert (dug.stdout.split() == [WWW]) == (dug.returncode == 0) == (name == "ring")


def test_routes_and_rp_filter(lab: Lab, tmp_path: Path) -> None:
    path = write_config(tmp_path)
    assert not {"dead-routes", "rp-filter", "filter-bypassed"} & findings(lab, path).keys()
    conf = "/proc/sys/net/ipv4/conf/server0/rp_filter"
    try:
        lab.server.run("ip", "route", "add", "blackhole", "203.0.113.0/24")
        lab.server.run("ip", "-6", "route", "add", "prohibit", "2001:db8:bad::/48")
        lab.server.run("sh", "-c", f"echo 1 > {conf}")
        found = findings(lab, path)
        assert "203.0.113.0/24, 2001:db8:bad::/48" in found["dead-routes"]["what"]
        assert "route_check = true" in found["dead-routes"]["command"]
        assert "rp_filter is 1 on server0" in found["rp-filter"]["what"]
        path.write_text(CONFIG.replace("queues", "route_check = true\nqueues"))
        assert "dead-routes" not in findings(lab, path)
    finally:
        lab.server.run("ip", "route", "del", "blackhole", "203.0.113.0/24")
        lab.server.run("ip", "-6", "route", "del", "prohibit", "2001:db8:bad::/48")
        lab.server.run("sh", "-c", f"echo 0 > {conf}")
