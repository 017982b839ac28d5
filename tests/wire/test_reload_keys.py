"""Every key of the configuration, changed under a running server: applied, or needs a restart."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import QUEUE, XDPKIT, Server, eventually, look_up, reload, write_config

from xdpkit.config.load import SECTIONS
from xdpkit.config.schema import Setting, settings
from xdpkit.lab.namespaces import SERVER_IPV4, Lab

pytestmark = pytest.mark.netns

SECRET = bytes(range(16)).hex()

# Each table's lines, and other values where it is not just the other boolean or an integer.
BASE: dict[str, dict[str, str]] = {
    "interface": {"name": '"server0"', "queues": f"[{QUEUE}]"},
    "ntp": {},
    "ntp.limit": {"burst": "200"},
    "dns": {"zones": '"zones"'},
    "dns.rrl": {"rate": "1000"},
    "dns.geo": {},
    "echo": {},
    "metrics": {},
}
OTHER = {
    "interface.name": '"other0"',
    "interface.queues": "[1]",
    "interface.steering": '"none"',
    "interface.mode": '"generic"',
    "interface.addresses": f'["{SERVER_IPV4}", "192.0.2.77"]',
    "interface.poll": '"busy"',
    "interface.defer_irqs": 'true\npoll = "busy"',
    "interface.irq_cpus": "[0]",
    "interface.rx_timestamps": '"loop"',
    "ntp.source": '["kernel", "local"]',
    "ntp.source_users": '["_chrony", "999"]',
    "ntp.stratum": "7",
    "ntp.refid": '"TEST"',
    "ntp.tx_timestamps": '"kick"',
    "ntp.keys": '"ntp.keys"',
    "ntp.allow": '["192.0.2.0/24"]',
    "ntp.deny": '["198.51.100.0/24"]',
    "ntp.limit.burst": "9",
    "dns.zones": '"more-zones"',
    "dns.cache": '"cache"',
    "dns.max_udp": "600",
    "dns.max_udp_ipv4": "601",
    "dns.max_udp_ipv6": "602",
    "dns.cookie_secret": f'"{SECRET}"',
    "dns.nsid": '"other"',
    "dns.report_agent": '"reports.example"',
    "dns.version": '"other"',
    "dns.hostname": '"other"',
    "dns.id": '"other"',
    "dns.allow": '["192.0.2.0/24"]',
    "dns.deny": '["198.51.100.0/24"]',
    "dns.geoip": '"geoip"',
    "dns.geo.map": '"locations"',
    "dns.geo.health": '"health"',
    "dns.geo.max_hosts": "3",
    "dns.rrl.rate": "900",
    "dns.rrl.exempt": '["192.0.2.0/24"]',
    "metrics.listen": '"127.0.0.1:9154"',
}


def other(path: str, setting: Setting) -> str:
    """A value that is not the default."""
    if path in OTHER:
        return OTHER[path]
    if setting.accepts == "boolean":
        return {"true": "false", "false": "true"}[setting.shown]
    bounds = re.fullmatch(r"integer, (-?\d+) to (\d+)", setting.accepts)
    assert bounds, f"{path} needs a value in OTHER"
    low, high = bounds.groups()
    return high if setting.shown == low else low


def keys(kind: type, name: str) -> Iterator[tuple[str, Setting]]:
    """Every key of a table, with its declaration."""
    for key, setting in settings(kind).items():
        if setting.table is not None:
            yield from keys(setting.table, f"{name}.{key}")
        else:
            yield f"{name}.{key}", setting


KEYS = dict(pair for name, kind in SECTIONS.items() for pair in keys(kind, name))


def config(*changed: str, without: str = "") -> str:
    """The base configuration with the other value of these keys."""
    tables = {name: dict(lines) for name, lines in BASE.items() if name != without}
    for path in changed:
        table, _, key = path.rpartition(".")
        tables[table][key] = other(path, KEYS[path])
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items())
        for name, lines in tables.items()
    )


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("reloads")
    (made / "more-zones").mkdir()
    (made / "more-zones" / "more.zone").write_text(
        "$ORIGIN more.\n$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.44\n"
    )
    (made / "ntp.keys").write_text("7 SHA1 a-secret-without-blanks\n")
    return made


@pytest.fixture(scope="module")
def server(lab: Lab, directory: Path) -> Iterator[Server]:
    server = Server(lab.server, write_config(directory, config()))
    yield server
    assert server.stop() == 0, server.log()


@pytest.fixture(autouse=True)
def put_back(server: Server, directory: Path) -> Iterator[None]:
    yield
    write_config(directory, config())
    server.request("reload")


@pytest.mark.parametrize("key", [key for key, setting in KEYS.items() if not setting.restart])
def test_a_key_that_a_reload_applies(server: Server, directory: Path, key: str) -> None:
    write_config(directory, config(key))
    assert server.request("reload")["changed"] == [key]
    assert server.request("reload")["changed"] == []
    write_config(directory, config())
    assert server.request("reload")["changed"] == [key]


@pytest.mark.parametrize("key", [key for key, setting in KEYS.items() if setting.restart])
def test_a_key_that_needs_a_restart(lab: Lab, server: Server, directory: Path, key: str) -> None:
    write_config(directory, config(key, "ntp.stratum"))
    done = reload(lab, "server0")
    assert done.returncode == 1
    assert f"needs a restart: {key}" in done.stderr or f", {key};" in done.stderr
    assert done.stderr.count("\n") == 1
    # Nothing of it is applied, not even what a reload could apply.
    assert server.status()["ntp"]["stratum"] == 10


@pytest.mark.parametrize("table", ["ntp", "dns", "echo", "metrics"])
def test_a_table_that_is_taken_out(lab: Lab, server: Server, directory: Path, table: str) -> None:
    lines = config(without=table)
    if table in ("ntp", "dns"):
        inner = f"[{table}."
        lines = "\n".join(part for part in lines.split("\n\n") if not part.startswith(inner))
    write_config(directory, lines)
    done = reload(lab, "server0")
    assert done.returncode == 1
    assert f"needs a restart: {table};" in done.stderr


def test_what_is_applied_is_what_is_served(lab: Lab, server: Server, directory: Path) -> None:
    write_config(directory, config("ntp.stratum", "ntp.refid", "dns.zones", "interface.addresses"))
    server.request("reload")
    status = server.status()
    assert (status["ntp"]["stratum"], status["ntp"]["refid"]) == (7, "84.69.83.84")
    assert list(status["zones"]) == ["more"]
    assert look_up(lab.client, "www.more") == ["192.0.2.44"]
    assert lab.server.run("ss", "-Hlnu", "src 192.0.2.77").stdout
    write_config(directory, config())
    server.request("reload")
    assert not lab.server.run("ss", "-Hlnu", "src 192.0.2.77").stdout
    assert list(server.status()["zones"]) == ["example"]


def test_half_a_configuration_applies_nothing_and_lists_every_error(
    lab: Lab, server: Server, directory: Path
) -> None:
    path = write_config(directory, config("ntp.stratum", "ntp.keys"), zone="broken\n")
    (directory / "ntp.keys").write_text("7 SHA1\n")
    done = reload(lab, "server0")
    (directory / "ntp.keys").write_text("7 SHA1 a-secret-without-blanks\n")
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert f"{directory}/ntp.keys:1:3: " in first
    assert f"{directory}/zones/example.zone:1:1: " in second
    assert server.status()["ntp"]["stratum"] == 10
    path.write_text(config("ntp.stratum").replace("rate = 1000", 'rate = "x"') + "[extra]\n")
    done = reload(lab, "server0")
    assert done.returncode == 2
    assert [line.count(f"{path}:") for line in done.stderr.splitlines()] == [1, 1]
    assert server.status()["ntp"]["stratum"] == 10


def test_more_reloads_than_the_inbox_holds(lab: Lab, server: Server, directory: Path) -> None:
    # Read for longer than it takes to start the others, on a busy machine too.
    hosts = "".join(f"host{number} A 192.0.2.7\n" for number in range(200_000))
    zone = f"$ORIGIN example.\n$TTL 300\n@ SOA ns h 9 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{hosts}"
    write_config(directory, config("dns.watch"), zone=zone)
    command = (XDPKIT, "reload", "server0")
    running = [lab.server.popen(*command, stderr=subprocess.PIPE) for _ in range(8)]
    errors = [process.communicate(timeout=120)[1] for process in running]
    refused = [error for error in errors if "requests are waiting already: try again" in error]
    assert [process.returncode for process in running].count(0) == 8 - len(refused) >= 1
    assert server.status()["inboxes"]["reload"]["refused"] == len(refused) >= 1
    eventually(lambda: server.status()["zones"]["example"]["names"] > 200_000, "the zone")
