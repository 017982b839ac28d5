"""What each verb does with its arguments and prints."""

from __future__ import annotations

import json
import shlex
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from xdpkit.cli import main as cli
from xdpkit.control import client as control_client

ECHO = '[interface]\nname = "eth1"\nqueues = [2, 3]\n[echo]\n'
DNS = ECHO + '[ntp]\n[dns]\nzones = "."\n'
ZONE = "@ 60 SOA . . 7 3 2 5 5\n@ 60 NS .\n@ 60 NS b.example.\nwww 60 AAAA 2001:db8::7\n"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "xdpkit.toml"
    path.write_text(DNS)
    (tmp_path / "a.example.zone").write_text(ZONE)
    return str(path)


def module(monkeypatch: pytest.MonkeyPatch, name: str, **contents: object) -> None:
    """Replaces a module that needs root, zones or a NIC."""
    made = ModuleType(name)
    vars(made).update(contents)
    parent, _, last = name.rpartition(".")
    monkeypatch.setitem(sys.modules, name, made)
    monkeypatch.setattr(import_module(parent), last, made, raising=False)


def test_run_and_demo_pass_on(monkeypatch: pytest.MonkeyPatch, config: str) -> None:
    module(
        monkeypatch,
        "xdpkit.instance.run",
        run=lambda loaded, over, yes, wait: 40 * over + 100 * yes + 20 * wait + 2,
    )
    assert cli.main(["run", "-c", config]) == 2
    assert cli.main(["run", "-c", config, "--takeover"]) == 42
    assert cli.main(["run", "-c", config, "--yes"]) == 102
    assert cli.main(["run", "-c", config, "--wait"]) == 22
    module(monkeypatch, "xdpkit.demo.lab", main=lambda json, debug: 10 * json + debug)
    assert cli.main(["demo", "--json", "--debug"]) == 11
    handed: list[Any] = []
    module(
        monkeypatch,
        "xdpkit.demo.interface",
        Wanted=lambda *wanted: wanted,
        main=lambda wanted, json: handed.append((*wanted, json)) or 5,
    )
    assert cli.main(["demo", "--interface", "eth1", "--queue", "3", "--mode", "generic"]) == 5
    assert cli.main(["demo", "--interface", "eth1", "--requests", "9", "--json", "--debug"]) == 5
    assert handed == [
        ("eth1", 3, "generic", 4000, False, False),
        ("eth1", 2, "auto", 9, True, True),
    ]


def test_check(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "-c", config, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["interface"], facts["queues"], facts["addresses"]) == ("eth1", [2, 3], [])
    assert facts["services"]["ntp"] == {
        "port": 123,
        "source": ["local"],
        "stratum": 10,
        "refid": "127.127.1.1",
        "holdover": 3600,
        "interleaved": 65536,
        "keys": 0,
        "allow": [],
        "deny": [],
        "limit": None,
    }
    dns = facts["services"]["dns"]
    assert dns["zones"] == {"a.example": {"serial": 7, "names": 2}}
    assert dns["tcp"] == {"connections": 1000, "idle_s": 10, "queries": 0}
    assert (dns["max_udp"], dns["cookies"]) == ({"ipv4": 1232, "ipv6": 1232}, "random")
    assert (dns["nsid"], dns["chaos"]) == ("", {})
    assert facts["services"]["echo"] == {"port": 7, "spin_ns": 0}
    assert cli.main(["check", "-c", config]) == 0
    out, err = capsys.readouterr()
    assert "over TCP   at most 1000 connections, 10 s idle\n" in out
    assert "eth1, RX queues 2, 3" in out and "a.example  serial 7, 2 names" in out
    assert err == ""


@pytest.mark.parametrize(
    "keys, shown",
    [
        ("", "port 123, source local, stratum 10, reference ID 127.127.1.1"),
        ('source = "[::1]:5"', "port 123, source [::1]:5, holdover 3600 s"),
        (
            'source = ["127.0.0.1:11123", "kernel"]\nrefid = "GPS"\nstratum = 1\nholdover = 9',
            "port 123, source 127.0.0.1:11123, else kernel, stratum 1, reference ID GPS,"
            " holdover 9 s",
        ),
    ],
)
def test_check_shows_the_sources_of_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], keys: str, shown: str
) -> None:
    path = tmp_path / "ntp.toml"
    path.write_text(f'[interface]\nname = "eth1"\nqueues = [2]\n[ntp]\n{keys}\n')
    assert cli.main(["check", "-c", str(path)]) == 0
    assert f"ntp        {shown}" in capsys.readouterr().out.splitlines()


def test_check_shows_where_metrics_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "metrics.toml"
    path.write_text(ECHO)
    assert cli.main(["check", "-c", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] is None
    path.write_text(ECHO + '[metrics]\nlisten = "[::1]:9153"\n')
    assert cli.main(["check", "-c", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == "[::1]:9153"
    assert cli.main(["check", "-c", str(path)]) == 0
    assert "metrics    http://[::1]:9153/metrics" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "before, after, line",
    [
        ("[dns]\n", "[dns]\ntcp_connections = 0\n", "no service"),
        ("queues", "slow_path = false\nqueues", "no service"),
        (
            "[dns]\n",
            "[dns]\ntcp_queries = 9\ntcp_idle = 2\n",
            "at most 1000 connections, 2 s idle, 9 queries each",
        ),
    ],
)
def test_check_shows_the_limits_of_tcp(
    config: str, capsys: pytest.CaptureFixture[str], before: str, after: str, line: str
) -> None:
    Path(config).write_text(DNS.replace(before, after, 1))
    assert cli.main(["check", "-c", config]) == 0
    assert f"over TCP   {line}\n" in capsys.readouterr().out


def test_check_shows_the_identity(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "0a" * 16
    keys = f'max_udp_ipv4 = 1000\ncookie_secret = "{secret}"\nnsid = "a"\nversion = "x\\ty"\n'
    Path(config).write_text(Path(config).read_text() + keys)
    assert cli.main(["check", "-c", config, "--json"]) == 0
    dns = json.loads(capsys.readouterr().out)["services"]["dns"]
    assert dns["max_udp"] == {"ipv4": 1000, "ipv6": 1232}
    assert (dns["cookies"], dns["nsid"], dns["chaos"]) == ("configured", "61", {"version": "x\ty"})
    assert cli.main(["check", "-c", config]) == 0
    out = capsys.readouterr().out
    assert "at most 1000 bytes over IPv4, 1232 over IPv6," in out
    assert "cookies    the secrets in the configuration" in out and secret not in out
    assert 'identity   NSID 61, version "x\\ty"' in out


def test_check_without_dns_compiles_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "echo.toml"
    path.write_text(ECHO)
    import_module("xdpkit.services.dns.query.query")
    module(monkeypatch, "xdpkit.services.dns.serving.store")
    assert cli.main(["check", "-c", str(path)]) == 0
    assert "echo       port 7" in capsys.readouterr().out
    assert cli.main(["query", "a", "A", "-c", str(path)]) == 2
    assert "[dns] is missing" in capsys.readouterr().err


def test_a_broken_zone_is_named(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    broken = Path(config).parent / "b.example.zone"
    broken.write_text("@ 60 IN SOA . . 1 2 3 4 5\n@ 60 IN NS ns\nns 60 IN A 1.2.3\n")
    for verb in (["check"], ["query", "www.b.example", "A"]):
        assert cli.main([*verb, "-c", config]) == 2
        out, err = capsys.readouterr()
        assert out == "" and f"{broken}:3" in err and err.count("\n") == 1


STATUS = {
    "interface": "eth1",
    "mode": "native",
    "zerocopy": False,
    "steering": "none",
    "timestamps": "xdp",
    "pid": 1,
    "uptime_s": 1.5,
    "queues": {"2": {"rx": 3, "tx": 2, "dropped": {"ntp_mode": 1}}},
    "slow_path": {"udp": {"rx": 0, "tx": 0, "dropped": {}}},
    "xdp": {},
    "verdicts": {"ntp_answered": 2, "ntp_mode": 1},
    "zones": {},
}


@pytest.fixture
def requested(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The requests to the control socket, which are not sent."""
    requests: list[tuple[Any, ...]] = []
    replies = {"status": STATUS, "reload": {"zones": {"a.example": {"serial": 8, "names": 2}}}}

    def request(ifname: str | None, verb: str, *_: object, **limits: float) -> dict[str, Any]:
        requests.append((ifname, verb))
        return replies[verb]

    monkeypatch.setattr(control_client, "request", request)
    return requests


def test_status(
    monkeypatch: pytest.MonkeyPatch,
    requested: list[tuple[Any, ...]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["status", "eth1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == STATUS
    verdicts = (SimpleNamespace(name="ntp_mode", kind="drop", text="not a request"),)
    module(monkeypatch, "xdpkit._core._stats", VERDICTS=verdicts)
    assert cli.main(["status"]) == 0
    out = capsys.readouterr().out
    assert "eth1: native mode, copy" in out and "not a request" in out and "ntp_mode 1" in out
    assert requested == [("eth1", "status"), (None, "status")]


def test_reload(
    monkeypatch: pytest.MonkeyPatch,
    requested: list[tuple[Any, ...]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    # An interface of this name is there.
    monkeypatch.setattr("xdpkit.nic.os.names.index_of", lambda _: 3)
    monkeypatch.setattr("xdpkit.nic.os.names.current", lambda ifname: ifname)
    assert cli.main(["reload"]) == 0
    assert capsys.readouterr().out == "reloaded\n  a.example  serial 8, 2 names\n"
    assert cli.main(["reload", "eth1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["zones"]["a.example"]["serial"] == 8
    assert requested == [(None, "reload"), ("eth1", "reload")]


def test_query(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["query", "www.A.example", "AAAA", "--json", "-c", config]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rcode"], found["zone"], found["client"]) == ("NOERROR", "a.example", "192.0.2.1")
    assert found["answer"] == ["www.A.example. 60 IN AAAA 2001:db8::7"]
    assert cli.main(["query", "www.a.example", "MX", "--client", "2001:db8::2", "-c", config]) == 0
    assert "from 2001:db8::2: NOERROR" in capsys.readouterr().out
    assert cli.main(["query", "www.a.example", "NOTYPE", "-c", config]) == 2
    assert "NOTYPE" in capsys.readouterr().err


def explained(path: Path, name: str, client: str, capsys: pytest.CaptureFixture[str]) -> Any:
    """The rcode, and the strings of the TXT records."""
    command = ["query", name, "TXT", "--client", client, "--json", "-c", str(path)]
    assert cli.main(command) == 0
    found = json.loads(capsys.readouterr().out)
    return found["rcode"], [shlex.split(each)[4:] for each in found["answer"]]


def test_query_of_names_that_explain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "zones").mkdir()
    data = {"": {"ns": ["ns1.example."]}, "www": {"a": [["192.0.2.1", 1], ["192.0.2.2", 1]]}}
    (tmp_path / "zones" / "p.example.json").write_text(json.dumps({"data": data}))
    path = tmp_path / "x.toml"
    text = (
        '[interface]\nname = "not-here"\nqueues = [0]\naddresses = ["192.0.2.53"]\n'
        '[dns]\nzones = "zones"\ncache = ""\nid = "one"\nhostname = "host.example"\n[dns.geo]\n'
    )
    path.write_text(text)
    _, [country] = explained(path, "_country.p.example", "198.51.100.7", capsys)
    assert country == ["198.51.100.7:40000", "198.51.100.7", "@", "/0", "one", "192.0.2.53"]
    for client in ("127.0.0.1", "192.0.2.53"):
        rcode, [[status]] = explained(path, "_status.p.example", client, capsys)
        told = json.loads(status.replace('\\"', '"'))
        assert (rcode, told["id"], told["h"]) == ("NOERROR", "one", "host.example")
        assert int(told["up"]) >= 0
    assert explained(path, "_health.p.example", "198.51.100.7", capsys) == ("REFUSED", [])
    path.write_text(text + "public_debug = true\n")
    rcode, [[health]] = explained(path, "_health.p.example", "198.51.100.7", capsys)
    assert (rcode, health) == ("NOERROR", "{}")


@pytest.mark.parametrize("verb", ["check", "run", "plan"])
def test_each_error_of_the_configuration_is_a_line(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "xdpkit.toml"
    path.write_text('[interface]\nname = "eth1"\nqueues = []\n[ntp]\nstratum = 0\nprt = 1\n')
    assert cli.main([verb, "-c", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"xdpkit: {path}:3:10: queues: name at least one RX queue, for example [2]",
        f"xdpkit: {path}:5:11: stratum: 0 is not within 1..15",
        f'xdpkit: {path}:6:1: unknown key "prt" in [ntp]: did you mean "port"?',
    ]
