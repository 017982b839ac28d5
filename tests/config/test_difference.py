"""Which changes of the file a reload applies, and which need a restart: every key has a case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from config_files import INTERFACE, write

from xdpkit.config import Config, load
from xdpkit.config.difference import Difference, difference
from xdpkit.config.load import SECTIONS
from xdpkit.config.schema import settings

BASE = """\
[interface]
name = "eth1"
queues = [2]
[ntp]
[ntp.limit]
[dns]
zones = "zones"
[dns.rrl]
[dns.geo]
[echo]
[metrics]
"""

# A value that differs from BASE's, and whether it needs a restart.
CASES = {
    "interface.name": ('"eth2"', True),
    "interface.queues": ("[3]", True),
    "interface.steering": ('"rss"', True),
    "interface.mode": ('"copy"', True),
    "interface.addresses": ('["192.0.2.1"]', False),
    "interface.slow_path": ("false", True),
    "interface.poll": ('"busy"', True),
    "interface.defer_irqs": ("true", True),
    "interface.irq_cpus": ("[1]", True),
    "interface.rx_timestamps": ('"loop"', True),
    "interface.max_loss_ppm": ("0", False),
    "interface.realtime": ("5", True),
    "interface.latency": ("false", True),
    "ntp.source": ('"kernel"', False),
    "ntp.source_users": ('"999"', False),
    "ntp.stratum": ("3", False),
    "ntp.refid": ('"GPS"', False),
    "ntp.holdover": ("60", False),
    "ntp.port": ("1123", True),
    "ntp.interleaved": ("0", True),
    "ntp.tx_timestamps": ('"kick"', True),
    "ntp.tx_compensation": ("true", True),
    "ntp.keys": ('"ntp.keys"', False),
    "ntp.allow": ('["192.0.2.0/24"]', False),
    "dns.allow": ('["192.0.2.0/24"]', False),
    "ntp.deny": ('["192.0.2.0/24"]', False),
    "dns.deny": ('["192.0.2.0/24"]', False),
    "dns.geoip": ('"geoip"', False),
    "dns.geo.map": ('"map"', False),
    "dns.geo.health": ('"health"', False),
    "dns.geo.relaxed": ("true", False),
    "dns.geo.ecs": ("false", False),
    "dns.geo.answer_all_unhealthy": ("false", False),
    "dns.geo.public_debug": ("true", False),
    "dns.geo.max_hosts": ("3", False),
    "ntp.limit.interval": ("1", False),
    "ntp.limit.burst": ("9", False),
    "ntp.limit.leak": ("3", False),
    "ntp.limit.kod": ("1", False),
    "ntp.limit.ipv4_prefix": ("24", False),
    "ntp.limit.ipv6_prefix": ("56", False),
    "ntp.limit.addresses": ("1024", True),
    "dns.zones": ('"."', False),
    "dns.cache": ('""', False),
    "dns.watch": ("false", False),
    "dns.max_udp": ("1000", False),
    "dns.port": ("1053", True),
    "dns.tcp_connections": ("0", True),
    "dns.tcp_idle": ("5", True),
    "dns.tcp_queries": ("7", True),
    "dns.max_udp_ipv4": ("1000", False),
    "dns.max_udp_ipv6": ("1000", False),
    "dns.statistics": ("false", False),
    "dns.cookies": ("false", False),
    "dns.cookie_secret": (f'"{"0a" * 16}"', False),
    "dns.max_nsec3_iterations": ("100", False),
    "dns.nsid": ('"ns1"', False),
    "dns.report_agent": ('"reports.example"', False),
    "dns.version": ('"9"', False),
    "dns.hostname": ('"ns1"', False),
    "dns.id": ('"ns1"', False),
    "dns.rrl.rate": ("5", False),
    "dns.rrl.instant": ("5", False),
    "dns.rrl.slip": ("2", False),
    "dns.rrl.exempt": ('["192.0.2.0/24"]', False),
    "echo.port": ("8", True),
    "echo.spin_ns": ("9", False),
    "metrics.listen": ('"127.0.0.1:9154"', True),
    "metrics.geodns_names": ("true", False),
}


def read(directory: Path, text: str) -> Config:
    (directory / "zones").mkdir(exist_ok=True)
    return load(write(directory, text))


def base(path: str) -> str:
    """The file in which this key is changed."""
    return BASE.replace("queues", 'poll = "busy"\nqueues') if path.endswith("irqs") else BASE


def with_key(path: str, value: str) -> str:
    """The same file with this value of the key."""
    table, _, key = path.rpartition(".")
    lines = [line for line in base(path).splitlines() if not line.startswith(f"{key} = ")]
    lines.insert(lines.index(f"[{table}]") + 1, f"{key} = {value}")
    return "\n".join(lines)


def keys_of(kind: type, name: str) -> list[str]:
    return [
        path
        for key, setting in settings(kind).items()
        for path in (
            keys_of(setting.table, f"{name}.{key}") if setting.table else [f"{name}.{key}"]
        )
    ]


def is_plain(path: str) -> bool:
    table, _, key = path.rpartition(".")
    accepts = settings(SECTIONS[table])[key].accepts if table in SECTIONS else ""
    return accepts == "boolean" or accepts.startswith("integer, ")


def test_every_key_that_is_not_plain_has_a_case() -> None:
    """A plain boolean or integer is changed by tests/wire/test_reload_keys.py."""
    declared = {path for name, kind in SECTIONS.items() for path in keys_of(kind, name)}
    assert declared >= CASES.keys()
    assert all(is_plain(path) for path in declared - CASES.keys())


@pytest.mark.parametrize("path", CASES)
def test_a_changed_key(tmp_path: Path, path: str) -> None:
    value, restart = CASES[path]
    old, new = read(tmp_path, base(path)), read(tmp_path, with_key(path, value))
    expected = Difference((), (path,)) if restart else Difference((path,), ())
    assert difference(old, old, new) == expected
    assert difference(new, new, old) == expected
    assert difference(new, new, new) == Difference()
    # Once applied it is no longer a change; what needs a restart is one until it is put back.
    assert difference(old, new, new) == (expected if restart else Difference())
    assert difference(old, new, old) == (Difference() if restart else expected)


@pytest.mark.parametrize("name", ["ntp", "dns", "echo", "metrics"])
def test_a_service_put_in_or_taken_out_needs_a_restart(tmp_path: Path, name: str) -> None:
    with_it = read(tmp_path, BASE)
    without: Config = replace(with_it, **{name: None})
    assert difference(without, without, with_it) == Difference((), (name,))
    assert difference(with_it, with_it, without) == Difference((), (name,))
    # Taken out, put back.
    assert difference(with_it, without, with_it) == Difference()


@pytest.mark.parametrize("path", ["ntp.limit", "dns.rrl"])
def test_a_limit_put_in_or_taken_out_is_applied(tmp_path: Path, path: str) -> None:
    with_it, without = read(tmp_path, BASE), read(tmp_path, BASE.replace(f"[{path}]\n", ""))
    assert difference(without, without, with_it) == Difference((path,), ())
    assert difference(with_it, with_it, without) == Difference((path,), ())


@pytest.mark.parametrize("size, restart", [(65536, False), (1024, True)])
def test_a_limit_put_in_has_the_table_of_the_start(
    tmp_path: Path, size: int, restart: bool
) -> None:
    """Without [ntp.limit] the threads started with a table of the default size."""
    without = read(tmp_path, INTERFACE + "[ntp]\n")
    with_it = read(tmp_path, INTERFACE + f"[ntp.limit]\naddresses = {size}\nburst = 3\n")
    needs: Any = ("ntp.limit.addresses",) if restart else ()
    assert difference(without, without, with_it) == Difference(("ntp.limit",), needs)
    # The same as at the start, after it was taken out in between.
    assert difference(with_it, without, with_it) == Difference(("ntp.limit",), ())
