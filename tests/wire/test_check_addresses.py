"""``xdpkit check`` on a host: addresses that it does not have, and anycast ones that it has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving import CONFIG, XDPKIT, look_up, serving, write_config

from xdpkit.lab.namespaces import SERVER_IPV4, SERVER_IPV6, Lab

ANYCAST = "198.51.100.53"

pytestmark = pytest.mark.usefixtures("lab")


def ip(lab: Lab, *arguments: str) -> None:
    done = lab.server.run("ip", *arguments)
    assert done.returncode == 0, done.stderr


@contextmanager
def address(lab: Lab, ifname: str, text: str) -> Iterator[None]:
    """An address of the server's host, for a while."""
    if ifname == "dummy0":
        made = lab.server.run("ip", "link", "add", "dummy0", "type", "dummy")
        if made.returncode:
            pytest.skip(f"this kernel has no dummy interfaces: {made.stderr.strip()}")
    ip(lab, "address", "add", text, "dev", ifname, "nodad")
    try:
        yield
    finally:
        if ifname == "dummy0":
            ip(lab, "link", "delete", "dummy0")
        else:
            ip(lab, "address", "delete", text, "dev", ifname)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_config(tmp_path)


def served(path: Path, *addresses: str) -> None:
    """Has the configuration name these, one in each line from the fourth on."""
    listed = "".join(f'  "{each}",\n' for each in addresses)
    text = CONFIG.replace("queues = [2]", f"queues = [2]\naddresses = [\n{listed}]")
    path.write_text(text if addresses else CONFIG)


def warnings(lab: Lab, path: Path) -> list[tuple[int, str]]:
    """(line, text) of what is told about addresses."""
    done = lab.server.run(XDPKIT, "check", "--json", "-c", str(path))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["warnings"]
    return [(each["line"], each["warning"]) for each in found if each["path"] == str(path)]


def line_of(path: Path, word: str) -> int:
    return next(n for n, line in enumerate(path.read_text().splitlines(), 1) if word in line)


def test_an_address_that_the_host_does_not_have(lab: Lab, path: Path) -> None:
    served(path, SERVER_IPV4, "192.0.2.9", SERVER_IPV6)
    ((line, text),) = warnings(lab, path)
    assert line == line_of(path, "192.0.2.9")
    assert text.startswith("no interface of this host has 192.0.2.9: ")
    done = lab.server.run(XDPKIT, "check", "-c", str(path))
    assert f"{path}:{line}: warning: no interface of this host has 192.0.2.9" in done.stderr
    assert done.returncode == 0
    served(path, SERVER_IPV4, SERVER_IPV6)
    assert warnings(lab, path) == []
    with address(lab, "lo", "192.0.2.9/32"):
        served(path, SERVER_IPV4, "192.0.2.9")
        assert warnings(lab, path) == []


def test_nothing_is_told_where_the_interface_is_not(lab: Lab, path: Path) -> None:
    served(path, SERVER_IPV4, "192.0.2.9")
    path.write_text(path.read_text().replace("server0", "server9"))
    assert warnings(lab, path) == []


@pytest.mark.parametrize("ifname", ["lo", "dummy0"])
@pytest.mark.parametrize("text", [f"{ANYCAST}/32", "2001:db8:53::53/128"])
def test_an_anycast_address(lab: Lab, path: Path, ifname: str, text: str) -> None:
    bare = text.split("/")[0]
    with address(lab, ifname, text):
        served(path)
        ((line, found),) = warnings(lab, path)
        assert line == line_of(path, "[interface]")
        assert found.startswith(f"{bare} on {ifname} is not served (only those of server0 are): if")
        served(path, SERVER_IPV4, bare)
        assert warnings(lab, path) == []
        # Chosen: the other may be a router's name for itself.
        served(path, SERVER_IPV4)
        assert warnings(lab, path) == []


def test_an_interface_by_another_name(lab: Lab, path: Path) -> None:
    ip(lab, "link", "property", "add", "dev", "server0", "altname", "uplink")
    with address(lab, "lo", f"{ANYCAST}/32"):
        path.write_text(CONFIG.replace('"server0"', '"uplink"'))
        ((_, found),) = warnings(lab, path)
        assert found.startswith(f"{ANYCAST} on lo is not served (only those of server0 are)")
    ip(lab, "link", "property", "del", "dev", "server0", "altname", "uplink")


def test_one_anycast_address_of_two(lab: Lab, path: Path) -> None:
    with address(lab, "lo", f"{ANYCAST}/32"), address(lab, "lo", "198.51.100.54/32"):
        served(path, SERVER_IPV4, ANYCAST)
        ((_, found),) = warnings(lab, path)
        assert found.startswith("198.51.100.54 on lo is not served (addresses does not name it)")


@pytest.mark.parametrize(
    "ifname, text",
    [
        ("lo", "127.0.0.53/32"),
        ("lo", "198.51.100.1/24"),
        ("lo", "fe80::5/128"),
        ("server0", "198.51.100.1/32"),
    ],
)
def test_addresses_that_nobody_is_led_to(lab: Lab, path: Path, ifname: str, text: str) -> None:
    with address(lab, ifname, text):
        served(path)
        assert warnings(lab, path) == []


def test_the_warning_is_right(lab: Lab, tmp_path: Path) -> None:
    """Such an address has no answer from a server with this configuration, and one when named."""
    ip(lab, "address", "add", f"{ANYCAST}/32", "dev", "lo")
    done = lab.client.run("ip", "route", "add", ANYCAST, "via", SERVER_IPV4)
    assert done.returncode == 0, done.stderr
    named = CONFIG.replace("queues = [2]", f'queues = [2]\naddresses = ["{ANYCAST}"]')
    for name, config in (("unnamed", CONFIG), ("named", named)):
        directory = tmp_path / name
        directory.mkdir()
        with serving(lab, directory, config):
            if config == named:
                assert look_up(lab.client, address=ANYCAST) == ["192.0.2.80"]
                continue
            done = lab.client.run("dig", "+tries=1", "+time=10", f"@{ANYCAST}", "www.example")
            assert done.returncode != 0 and "192.0.2.80" not in done.stdout
