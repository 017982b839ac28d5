"""What ``check`` thinks of the addresses of a host that has interfaces of every kind."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from xdpkit.cli.check_addresses import HostAddress, doubts
from xdpkit.config import load

CONFIG = '[interface]\nname = "eth1"\nqueues = [0]\naddresses = {}\n[echo]\n'


def test_the_kinds_of_interfaces(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    host = [
        HostAddress(ip_address(text), prefix, ifname, hosts)
        for text, prefix, ifname, hosts in (
            ("192.0.2.1", 24, "eth1", False),
            ("192.0.2.2", 32, "eth2", False),
            ("198.51.100.53", 32, "any0", True),
            ("2001:db8::53", 128, "any0", True),
            ("2001:db8:1::1", 64, "any0", True),
            ("127.0.0.1", 8, "lo", True),
            ("::1", 128, "lo", True),
        )
    ]

    def found(addresses: str) -> list[str]:
        path.write_text(CONFIG.format(addresses))
        return [text.split(" (")[0].split(":  ")[0] for _, text in doubts(load(path), host, "eth1")]

    both = ["198.51.100.53 on any0 is not served", "2001:db8::53 on any0 is not served"]
    assert found("[]") == both
    assert found('["192.0.2.1", "2001:db8::53"]') == both[:1]
    # In VLAN 100, it is on another interface of this host, or on none that has a name here.
    assert found('["192.0.2.2@100"]') == []
    assert found('["192.0.2.1"]') == []
