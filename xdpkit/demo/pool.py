"""A step of ``xdpkit demo``: what two clients of a pool get, and why."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from xdpkit.demo.facts import Demo
from xdpkit.lab.namespaces import CLIENT_IPV4
from xdpkit.runtime import child

NAME = "pool.example"

# Servers and their weights, of two countries and of the whole pool.
_US = [["198.51.100.1", 1000000], ["198.51.100.2", 500000], ["198.51.100.3", 250000]]
_DE = [["198.51.100.17", 1000000], ["198.51.100.18", 250000]]
_LABELS: dict[str, dict[str, Any]] = {
    "": {"ns": ["ns1.example."], "a": [*_US, *_DE]},
    "us": {"a": _US},
    "de": {"a": _DE},
}

CONFIGURATION = """
[dns.geo]
map = "locations"
"""


@dataclass(frozen=True)
class Client:
    """A client, where it is, and the client subnet that its resolver sends, if it asks one."""

    address: str
    country: str
    subnet: str = ""


CLIENTS = (Client(CLIENT_IPV4, "us"), Client("203.0.113.7", "de", "203.0.113.0/24"))
FILES = {
    f"zones/{NAME}.json": json.dumps({"ttl": 150, "max_hosts": 2, "data": _LABELS}),
    "locations": "".join(f"{each.subnet or each.address} {each.country}\n" for each in CLIENTS),
}


def check_pool(demo: Demo) -> None:
    """dig gets servers of the client's country alone, and ``xdpkit query`` says why."""
    demo.title(f"3. Two clients of {NAME} get servers of their countries, by weight")
    demo.facts["pool"] = {}
    for client in CLIENTS:
        answer = _dig(demo, client)
        asked = f"dig {NAME}" + (f" +subnet={client.subnet}" if client.subnet else "")
        demo.check(
            f"{client.address} in {client.country}: {asked}: {' '.join(answer)}",
            bool(answer) and set(answer) <= servers_of(client.country),
        )
        demo.facts["pool"][client.address] = {"dig": answer}
    first = CLIENTS[0]
    explained = _query(demo, first.address)
    demo.facts["pool"][first.address]["query"] = explained
    demo.console.print(f"      $ xdpkit query {NAME} A --client {first.address}")
    for line in explained:
        demo.console.print(f"      {line}", markup=False)
    demo.check(
        f"xdpkit query has all servers of {first.country}, with their chances",
        all(any(each in line for line in explained) for each in servers_of(first.country)),
    )


def servers_of(country: str) -> set[str]:
    """The addresses that a country's clients may get."""
    return {address for address, _ in _LABELS[country]["a"]}


def _dig(demo: Demo, client: Client) -> list[str]:
    """The addresses that dig, run in the client's namespace, prints."""
    lab = demo.served.lab
    subnet = [f"+subnet={client.subnet}"] if client.subnet else []
    options = ("+short", "+tries=1", "+timeout=2", *subnet)
    done = lab.client.run("dig", *options, f"@{lab.server.ipv4}", NAME, "A")
    return sorted(done.stdout.split())


def _query(demo: Demo, address: str) -> list[str]:
    """The lines of ``xdpkit query`` about the chances of a client's answer."""
    configuration = str(demo.served.path / "xdpkit.toml")
    arguments = ("query", NAME, "A", "--client", address, "-c", configuration)
    done: subprocess.CompletedProcess[str] = subprocess.run(
        child.python("xdpkit", *arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **child.options(),
    )
    return (done.stdout or done.stderr).splitlines()
