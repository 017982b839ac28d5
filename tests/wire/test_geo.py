"""JSON zones beside master files: answered by location, weight and health, and followed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import (
    CONFIG,
    PATIENCE,
    QUEUES,
    WAYS_IN,
    XDPKIT,
    Server,
    eventually,
    reload,
    write_config,
)

from xdpkit.lab.namespaces import CLIENT_IPV4, CLIENT_IPV6, SERVER_IPV4, SERVER_IPV6, Lab

pytestmark = pytest.mark.netns

GEO = """
[dns.geo]
map = "locations"
health = "health"
"""
MAP = """\
203.0.113.0/24 us
198.51.100.0/24 de
2001:db8:1::/48 de
"""
POOL: dict[str, Any] = {
    "serial": 7,
    "ttl": 60,
    "max_hosts": 2,
    "data": {
        "": {"ns": ["ns1.example"]},
        "www": {"a": [["192.0.2.9", 10]]},
        "www.us": {"a": [["192.0.2.11", 10]]},
        "www.de": {"a": [["192.0.2.22", 10]], "aaaa": [["2001:db8::22", 10]]},
        "www.europe": {"a": [["192.0.2.33", 10]]},
        "servers": {
            "a": [
                {"ip": "192.0.2.41", "weight": 10, "health": "pool/one"},
                {"ip": "192.0.2.42", "weight": 10, "health": "pool/two"},
            ]
        },
    },
}
HEALTHY, UNHEALTHY = 2, 1


def write_pool(directory: Path, document: Any = POOL, name: str = "pool.example.org") -> Path:
    path = directory / "zones" / f"{name}.json"
    part = path.with_suffix(".part")
    part.write_text(document if isinstance(document, str) else json.dumps(document))
    return part.rename(path)


def write_health(directory: Path, **states: int) -> None:
    (directory / "health").mkdir(exist_ok=True)
    part = directory / "health" / "pool.part"
    part.write_text(json.dumps(states))
    part.rename(directory / "health" / "pool.json")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("geo")
    write_config(made, CONFIG.replace("[echo]", GEO + "[echo]"))
    (made / "locations").write_text(MAP)
    write_pool(made)
    write_health(made, one=HEALTHY, two=HEALTHY)
    return made


@pytest.fixture(scope="module")
def server(lab: Lab, directory: Path) -> Iterator[Server]:
    server = Server(lab.server, directory / "xdpkit.toml")
    try:
        yield server
        assert server.stop() == 0, server.log()
    finally:
        server.kill()


def ask(lab: Lab, name: str, *more: str, server: str = SERVER_IPV4) -> list[str]:
    """The addresses of a name, in numeric order."""
    question = (f"@{server}", f"{name}.pool.example.org", *more)
    done = lab.client.run("dig", "+short", "+tries=1", "+time=10", *question)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(done.stdout.split())


@pytest.mark.parametrize("way_in", WAYS_IN)
@pytest.mark.parametrize("address", [SERVER_IPV4, SERVER_IPV6])
def test_answers_depend_on_the_client(lab: Lab, server: Server, way_in: str, address: str) -> None:
    lab.client.send_on_queue(WAYS_IN[way_in], QUEUES)
    before = server.answers_by(way_in)
    for subnet, expected in (
        ("203.0.113.0/24", "192.0.2.11"),
        ("198.51.100.77/32", "192.0.2.22"),
        ("2001:db8:1:2::/64", "192.0.2.22"),
        ("192.0.2.0/24", "192.0.2.9"),
        ("0/0", "192.0.2.9"),
    ):
        assert ask(lab, "www", f"+subnet={subnet}", server=address) == [expected]
        assert ask(lab, "www", f"+subnet={subnet}", "+tcp", server=address) == [expected]
    eventually(lambda: server.answers_by(way_in) == before + 5, "five answers over UDP")


def test_a_master_file_beside_it(lab: Lab, server: Server) -> None:
    done = lab.client.run("dig", "+short", f"@{SERVER_IPV4}", "www.example", "A")
    assert done.stdout.split() == ["192.0.2.80"]
    assert set(server.status()["zones"]) == {"example", "pool.example.org"}


def test_the_scope_is_that_of_the_location(lab: Lab, server: Server) -> None:
    name = "www.pool.example.org"
    done = lab.client.run("dig", f"@{SERVER_IPV4}", "+subnet=203.0.113.7/32", name)
    assert "CLIENT-SUBNET: 203.0.113.7/32/24" in done.stdout


def texts(lab: Lab, name: str, *more: str, client: bool = True) -> list[str]:
    """The strings of a name's TXT record, or the RCODE of an answer that has none."""
    host = lab.client if client else lab.server
    done = host.run("dig", "+tries=1", "+time=10", f"{name}.pool.example.org", "TXT", *more)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in done.stdout.splitlines():
        if line.startswith(name) and "\tTXT\t" in line:
            return shlex.split(line.split("\tTXT\t")[1])
    return [done.stdout.split("status: ")[1].split(",")[0]]


@pytest.mark.parametrize("way_in", WAYS_IN)
@pytest.mark.parametrize("address", [SERVER_IPV4, SERVER_IPV6])
def test_names_that_explain(lab: Lab, server: Server, way_in: str, address: str) -> None:
    lab.client.send_on_queue(WAYS_IN[way_in], QUEUES)
    before = server.answers_by(way_in)
    for more in ((), ("+tcp",)):
        at = (f"@{address}", *more)
        client, used, *rest = texts(lab, "_country", "+subnet=203.0.113.0/24", *at)
        assert used == "203.0.113.0" and rest[:2] == ["us @", "/24"]
        assert client.rpartition(":")[0].strip("[]") in (CLIENT_IPV4, CLIENT_IPV6)
        assert rest[3] in (SERVER_IPV4, SERVER_IPV6)
        assert texts(lab, "_status", *at) == texts(lab, "_health", *at) == ["REFUSED"]
    eventually(lambda: server.answers_by(way_in) == before + 3, "three answers over UDP")


def test_names_that_explain_on_the_host(lab: Lab, server: Server) -> None:
    for more in ((), ("+tcp",)):
        at = (f"@{SERVER_IPV4}", *more)
        [text] = texts(lab, "_health", *at, client=False)
        assert json.loads(text) == {"pool/one": HEALTHY, "pool/two": HEALTHY}
        [text] = texts(lab, "_status", *at, client=False)
        told = json.loads(text)
        assert set(told) == {"v", "id", "h", "up"} and 0 <= int(told["up"]) < 10_000


def test_a_key_that_shows_them_to_everybody(lab: Lab, server: Server, directory: Path) -> None:
    config = directory / "xdpkit.toml"
    text = config.read_text()
    config.write_text(text.replace("[dns.geo]\n", "[dns.geo]\npublic_debug = true\n"))
    assert reload(lab, "server0").returncode == 0
    [found] = texts(lab, "_status", f"@{SERVER_IPV4}")
    assert set(json.loads(found)) == {"v", "id", "h", "up"}
    config.write_text(text)
    assert reload(lab, "server0").returncode == 0
    assert texts(lab, "_status", f"@{SERVER_IPV4}") == ["REFUSED"]


def test_what_becomes_unhealthy_is_answered_no_more(
    lab: Lab, server: Server, directory: Path
) -> None:
    both = ["192.0.2.41", "192.0.2.42"]
    compiled = server.status()["dns"]["arena"]["loaded_at"]
    eventually(lambda: ask(lab, "servers") == both, "both servers")
    write_health(directory, one=UNHEALTHY, two=HEALTHY)
    eventually(lambda: ask(lab, "servers") == both[1:], "the healthy server alone")
    assert all(ask(lab, "servers") == both[1:] for _ in range(20))
    write_health(directory, one=UNHEALTHY, two=UNHEALTHY)
    eventually(lambda: ask(lab, "servers") == both, "all, for none is healthy")
    (directory / "health" / "pool.json").write_text("{")
    eventually(lambda: "its last states stay in use" in server.log(), "a line of the log")
    [line] = eventually(lambda: server.status()["dns"]["health"], "the line of the status")
    assert line.startswith("health since ") and "pool.json:1:2: " in line
    shown = lab.server.run(XDPKIT, "status", "server0")
    assert "\nhealth since " in shown.stdout
    # Other settings keep the states.
    config = directory / "xdpkit.toml"
    text = config.read_text()
    config.write_text(text.replace("[dns.geo]\n", "[dns.geo]\nanswer_all_unhealthy = false\n"))
    assert reload(lab, "server0").returncode == 0
    eventually(lambda: ask(lab, "servers") == [], "none, for none is healthy")
    config.write_text(text)
    assert reload(lab, "server0").returncode == 0
    assert ask(lab, "servers") == both
    write_health(directory, one=HEALTHY, two=UNHEALTHY)
    eventually(lambda: ask(lab, "servers") == both[:1], "the other server alone")
    assert server.status()["dns"]["health"] == []
    assert server.log().count("its last states stay in use") == 1
    # No zone was compiled for it.
    assert server.status()["dns"]["arena"]["loaded_at"] == compiled
    # A reload keeps what is known of their health.
    assert reload(lab, "server0").returncode == 0
    assert ask(lab, "servers") == both[:1]
    write_health(directory, one=HEALTHY, two=HEALTHY)
    eventually(lambda: ask(lab, "servers") == both, "both servers")


def zone_state(server: Server) -> dict[str, Any]:
    state: dict[str, Any] = server.status()["zones"]["pool.example.org"]
    return state


def test_an_edit_is_served_and_a_broken_one_is_not(
    lab: Lab, server: Server, directory: Path
) -> None:
    labels = {**POOL["data"], "www": {"a": [["192.0.2.10", 10]]}}
    path = write_pool(directory, {**POOL, "serial": 8, "data": labels})
    eventually(lambda: ask(lab, "www") == ["192.0.2.10"], "the edited zone")
    write_pool(directory, '{"data": {\n  "": {"ns": ["ns1.example"]},\n  "www": {"a": "what"}\n}}')
    eventually(lambda: zone_state(server).get("state") == "stale", "the broken zone")
    [error] = zone_state(server)["errors"]
    assert error.startswith(f"{path}:3:"), error
    assert ask(lab, "www") == ["192.0.2.10"]
    checked = lab.server.run(XDPKIT, "check", "-c", str(directory / "xdpkit.toml"))
    assert checked.returncode == 2
    assert f"{path}:3:" in checked.stderr
    assert reload(lab, "server0").returncode != 0
    write_pool(directory)
    eventually(lambda: ask(lab, "www") == ["192.0.2.9"], "the zone of before")
    assert reload(lab, "server0").returncode == 0


def test_a_map_that_changes(lab: Lab, server: Server, directory: Path) -> None:
    path = directory / "locations"
    path.write_text(MAP.replace("198.51.100.0/24 de", "198.51.100.0/24 us"))
    eventually(lambda: ask(lab, "www", "+subnet=198.51.100.0/24") == ["192.0.2.11"], "the new map")
    path.write_text(MAP + "198.51.100.0/33 de\n")
    eventually(lambda: zone_state(server).get("state") == "stale", "the broken map")
    assert zone_state(server)["errors"][0].startswith(f"{path}:4:1: ")
    assert ask(lab, "www", "+subnet=198.51.100.0/24") == ["192.0.2.11"]
    path.write_text(MAP)
    eventually(lambda: ask(lab, "www", "+subnet=198.51.100.0/24") == ["192.0.2.22"], "the old map")
    assert "state" not in zone_state(server)


def test_what_is_wrong_for_several_zones_is_said_once(
    lab: Lab, server: Server, directory: Path
) -> None:
    others = [write_pool(directory, POOL, f"other{number}") for number in range(5)]
    names = {"pool.example.org", *(f"other{number}" for number in range(5))}

    def all_are(state: str | None) -> bool:
        zones = server.status()["zones"]
        return names < set(zones) and all(
            zones[name]["serial"] and zones[name].get("state") == state for name in names
        )

    eventually(lambda: all_are(None), "the other zones")
    path = directory / "locations"
    before = len(server.log().splitlines())

    def said(text: str) -> list[str]:
        return [line for line in server.log().splitlines()[before:] if text in line]

    for bad, line in (("198.51.100.0/33 de\n", 4), ("#\n\n\n198.51.100.0/33 de\n", 7)):
        path.write_text(MAP + bad)
        eventually(lambda at=line: len(said(f"{path}:{at}:1: ")) == 1, "the line of the log")
        assert all_are("stale")
    [line] = said(f"{path}:4:1: ")
    assert "6 zones do not load for it, the last good versions of 6 stay in use" in line
    done = reload(lab, "server0")
    assert done.returncode != 0 and done.stderr.count(f"{path}:7:1: ") == 1
    checked = lab.server.run(XDPKIT, "check", "-c", str(directory / "xdpkit.toml"))
    assert checked.returncode == 2 and checked.stderr.count(f"{path}:7:1: ") == 1
    path.write_text(MAP)
    eventually(lambda: len(said("6 zones load again, after ")) == 1, "the line")
    assert said("loads again") == []
    for each in others:
        each.unlink()
    eventually(lambda: len(server.status()["zones"]) == 2, "the zones of before")


def test_keys_of_the_status_files_that_match_nothing(
    lab: Lab, server: Server, directory: Path
) -> None:
    status = directory / "health" / "pool.json"
    write_health(directory, one=HEALTHY, two=HEALTHY, three=HEALTHY)
    stray = f'{status}: no record that is served has "three": remove it'
    eventually(lambda: stray in server.log(), "the line", 4 * PATIENCE)
    checked = lab.server.run(XDPKIT, "check", "-c", str(directory / "xdpkit.toml"))
    assert checked.returncode == 0 and '"three": remove it' in checked.stderr + checked.stdout
    write_health(directory, one=HEALTHY, three=HEALTHY)
    missing = f'{status}: it has no "two", which records name: they count as unhealthy'
    eventually(lambda: missing in server.log(), "the line", 4 * PATIENCE)
    eventually(lambda: ask(lab, "servers") == ["192.0.2.41"], "the other server alone")
    away = directory / "away"
    (directory / "health").rename(away)
    gone = f"{directory / 'health'}: cannot be read: No such file or directory"
    eventually(lambda: gone in server.log(), "the line")
    away.rename(directory / "health")
    eventually(lambda: f"{directory / 'health'}: can be read again" in server.log(), "the line")
    write_health(directory, one=HEALTHY, two=HEALTHY)
    eventually(lambda: len(ask(lab, "servers")) == 2, "both servers")
    for line in (stray, missing, gone):
        assert server.log().count(line) == 1


def test_two_files_of_one_zone(lab: Lab, server: Server, directory: Path) -> None:
    path = write_pool(directory, POOL, "example")
    eventually(lambda: server.status()["zones"]["example"].get("state") == "stale", "both files")
    errors = server.status()["zones"]["example"]["errors"]
    assert any(f"{path}: the same zone as example.zone" in line for line in errors)
    path.unlink()
    eventually(lambda: "state" not in server.status()["zones"]["example"], "one of them")


def test_a_key_that_turns_subnets_off(lab: Lab, server: Server, directory: Path) -> None:
    config = directory / "xdpkit.toml"
    text = config.read_text()
    config.write_text(text.replace("[dns.geo]\n", "[dns.geo]\necs = false\n"))
    assert reload(lab, "server0").returncode == 0
    assert ask(lab, "www", "+subnet=203.0.113.0/24") == ["192.0.2.9"]
    config.write_text(text)
    assert reload(lab, "server0").returncode == 0
    assert ask(lab, "www", "+subnet=203.0.113.0/24") == ["192.0.2.11"]
    # Without the table, JSON is no zone.
    config.write_text(text.replace(GEO, "\n"))
    assert reload(lab, "server0").returncode == 0
    assert set(server.status()["zones"]) == {"example"}
    config.write_text(text)
    assert reload(lab, "server0").returncode == 0
    assert ask(lab, "www", "+subnet=203.0.113.0/24") == ["192.0.2.11"]
